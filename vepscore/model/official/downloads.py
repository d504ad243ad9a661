"""Files from web servers: whole, as their hash says, or kept as far as they came and continued by the next call."""

import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import http.client
import logging
import os
import shutil
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import Request

import vepscore
from vepscore.errors import CheckpointError

log = logging.getLogger(__name__)

TIMEOUT_S = 30.0  # without a byte
_ATTEMPTS = 3  # without a byte between them
_PAUSE_S = 1.0  # between attempts
_CHUNK_BYTES = 1 << 20
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_RESUME_HINT = (
    "nothing is lost: call again, and it goes on where it stopped; "
    "where a compute node has no network, fetch on the login node first"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """What is known of a file before it is downloaded."""

    name: str  # its path in the folder of the download
    size: int | None = None  # bytes
    sha256: str | None = None  # hex
    git_sha1: str | None = None  # hex, of the file as git stores it: a line with its size, then its bytes


def download(
    remote: RemoteFile,
    folder: Path,
    request: Callable[[], Request],
    *,
    timeout_s: float = TIMEOUT_S,
    observe: Callable[[int], None] = lambda size: None,
) -> Path:
    """Downloads a file into `folder`, where it has its name only when it is whole.

    Args:
        remote: the file.
        folder: where to; what an earlier call left there is used.
        request: makes the request for the file; called for every attempt, because signed addresses expire.
        timeout_s: how long to wait for the next bytes.
        observe: is told the bytes at hand of this file.

    Raises:
        CheckpointError: the server cannot be reached or refuses, the disk is full, or the file is not what its
            hash says.
    """
    path = folder / remote.name
    if path.is_file() and remote.size in (None, path.stat().st_size):
        observe(path.stat().st_size)
        return path
    partial = path.with_name(f"{path.name}.partial")
    with room_for(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("ab") as file:
            _receive_all(remote, file, request, timeout_s, observe)
        if (problem := _difference(partial, remote)) is not None:
            partial.unlink()
            raise CheckpointError(
                f"{path}: not what the server announced\n{problem}",
                hint="the file was discarded; call again to download it anew",
            )
        os.replace(partial, path)
    return path


def check_space(folder: Path, remotes: Iterable[RemoteFile]) -> None:
    """Compares what is still to come with the free space.

    Raises:
        CheckpointError: it does not fit.
    """
    missing = sum(_missing_bytes(folder / remote.name, remote.size or 0) for remote in remotes)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise CheckpointError(
            f"{folder}: {missing / 1e9:.1f} GB are to come, {free / 1e9:.1f} GB are free",
            hint="free some space, or set VEPSCORE_CACHE to a folder on another disk",
        )


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second process from downloading into `folder`, which is made when absent.

    Raises:
        CheckpointError: another process does so, or the folder cannot be written.
    """
    with room_for(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(
                f"{folder}: another process downloads here", hint="wait for it to end, then call again"
            ) from error
        except OSError as error:
            log.debug("%s: no lock on this file system: %s", folder, error)
        yield


def unreachable(url: str, error: object) -> CheckpointError:
    """The error to raise where the server at `url` does not answer, or stops to."""
    reason = getattr(error, "reason", None) or error
    hint = _RESUME_HINT
    if isinstance(reason, ssl.SSLCertVerificationError):
        hint = "behind a proxy with certificates of its own, set SSL_CERT_FILE to the file that holds them"
    text = str(reason) or type(error).__name__
    return CheckpointError(f"{_host(url)} cannot be reached, or broke off\n{text}", hint=hint)


def refused(url: str, status: int, reason: str) -> CheckpointError:
    """The error to raise where the server at `url` answers with an HTTP status that says no."""
    if _is_transient(status):
        hint = "the server is busy or in trouble: call again later, and it goes on where it stopped"
    else:
        hint = "call again; if it stays so, the file has moved, or a proxy does not let it through"
    unsigned = url.partition("?")[0]
    return CheckpointError(f"{_host(url)} answers {status} {reason}\n{unsigned}", hint=hint)


def make_request(url: str, headers: dict[str, str] | None = None) -> Request:
    """A GET request. The headers are meant for this server only: a redirection does not carry them on.

    Raises:
        CheckpointError: `url` is not the address of a web server.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise CheckpointError(f"{url}: not an address of the web\nexpected http:// or https://")
    request = Request(url, headers={"User-Agent": f"vepscore/{vepscore.__version__}"})
    for name, value in (headers or {}).items():
        request.add_unredirected_header(name, value)
    return request


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _receive_all(
    remote: RemoteFile,
    file: BinaryIO,
    request: Callable[[], Request],
    timeout_s: float,
    observe: Callable[[int], None],
) -> None:
    """Appends to `file` what it lacks, in as many attempts as bring it further."""
    attempts = _ATTEMPTS
    while True:
        before = file.seek(0, os.SEEK_END)
        observe(before)
        if before == remote.size:
            return
        asked = request()
        try:
            _receive(remote, file, asked, timeout_s, observe)
            return
        except urllib.error.HTTPError as error:
            error.close()
            failure = refused(error.url, error.code, error.reason)
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                file.truncate(0)
            elif not _is_transient(error.code):
                raise failure from error
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in _DISK_FULL:
                raise
            failure = unreachable(asked.full_url, error)
        attempts = _ATTEMPTS if file.seek(0, os.SEEK_END) > before else attempts - 1
        if not attempts:
            raise failure
        log.info("%s: %s; trying again", remote.name, failure.message.replace("\n", ": "))
        time.sleep(_PAUSE_S)


def _receive(
    remote: RemoteFile, file: BinaryIO, request: Request, timeout_s: float, observe: Callable[[int], None]
) -> None:
    """Appends what the server sends from the end of `file` on."""
    at_hand = file.tell()
    if at_hand:
        request.add_header("Range", f"bytes={at_hand}-")
    with urllib.request.urlopen(request, timeout=timeout_s, context=_tls_context()) as response:
        if at_hand and response.status != HTTPStatus.PARTIAL_CONTENT:
            file.truncate(0)  # it sends the file from its start
            at_hand = 0
        while chunk := response.read1(_CHUNK_BYTES):
            file.write(chunk)
            at_hand += len(chunk)
            observe(at_hand)
    if remote.size is not None and at_hand < remote.size:
        raise ConnectionError(f"the transfer ended after {at_hand:,} of {remote.size:,} bytes")


def _is_transient(status: int) -> bool:
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY


def _difference(path: Path, remote: RemoteFile) -> str | None:
    """What distinguishes the file from what was announced, if anything does."""
    size = path.stat().st_size
    if remote.size not in (None, size):
        return f"found {size:,} bytes, expected {remote.size:,}"
    if remote.sha256 is not None and (found := _digest(path, "sha256")) != remote.sha256:
        return f"sha256 is {found}, expected {remote.sha256}"
    if remote.git_sha1 is not None:
        found = _digest(path, "sha1", f"blob {size}\0".encode())
        return f"git's hash is {found}, expected {remote.git_sha1}" if found != remote.git_sha1 else None
    return None


def _digest(path: Path, algorithm: str, prefix: bytes = b"") -> str:
    digest = hashlib.new(algorithm, prefix)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _missing_bytes(path: Path, size: int) -> int:
    return size - max(_size(path), _size(path.with_name(f"{path.name}.partial")))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@contextlib.contextmanager
def room_for(folder: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write into `folder` into an error that says what to do."""
    try:
        yield
    except OSError as error:
        hint = "set VEPSCORE_CACHE to a folder that can be written"
        if error.errno in _DISK_FULL:
            hint = "free some space and call again, and it goes on where it stopped; or " + hint
        raise CheckpointError(f"{folder}: cannot be written: {error.strerror or error}", hint=hint) from error


def _tls_context() -> ssl.SSLContext:
    """Trusts the system's certificates; a Python that knows of none, those of certifi."""
    known = ssl.get_default_verify_paths()
    if known.cafile or known.capath:
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
