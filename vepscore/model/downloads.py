"""Download files with resume and hash checks, through the HTTP client of huggingface_hub."""

import contextlib
import dataclasses
import errno
import fcntl
import functools
import hashlib
import io
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from vepscore.errors import CheckpointError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

log = logging.getLogger(__name__)

Observe = Callable[[int, int], None]  # bytes downloaded, bytes in all

EXTRA_HINT = "pip install 'vepscore[fetch]'"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_HTTP_LIBRARIES = ("httpx", "httpx2")  # of several versions of huggingface_hub
_OFFLINE_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")  # of the client
_RESUME_HINT = (
    "rerun: the download resumes where it stopped. If this machine has no network, rerun on one that has"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RemoteFile:
    """The properties of a file that are known before it is downloaded."""

    name: str  # path in the folder of the download
    size: int  # bytes
    digest: str  # hex
    is_git: bool = False  # whether the digest is that of the git blob, else sha256


def check_online() -> None:
    """Check that the environment allows downloads.

    Raises:
        CheckpointError: $HF_HUB_OFFLINE or $TRANSFORMERS_OFFLINE is set.
    """
    for name in _OFFLINE_VARIABLES:
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            raise CheckpointError(
                f"{name} is set, so nothing is downloaded",
                hint=f"unset {name} where there is a network; an imported checkpoint needs none",
            )


def download_all(
    remotes: Mapping[str, RemoteFile],
    folder: Path,
    *,
    headers: dict[str, str] | None = None,
    observe: Observe,
) -> None:
    """Download files into `folder`, which is created if missing.

    Args:
        remotes: the files by their addresses.
        folder: the destination; files of an earlier call are kept, and a partial one is resumed.
        headers: as in `download`.
        observe: called with the bytes downloaded so far and in all.

    Raises:
        CheckpointError: as in `download`, or the files do not fit on the disk.
        Exception: errors of huggingface_hub; see `reaching`.
    """
    with room_for(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _check_space(folder, remotes.values())
    total, before = sum(remote.size for remote in remotes.values()), 0

    def observe_file(before: int, size: int) -> None:
        observe(before + size, total)

    for url, remote in remotes.items():
        download(remote, folder, url, headers=headers, observe=functools.partial(observe_file, before))
        before += remote.size


def download(
    remote: RemoteFile,
    folder: Path,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    observe: Callable[[int], None] = lambda size: None,
) -> Path:
    """Download a file into `folder`; it gets its name only when it is complete and its hash was checked.

    Args:
        remote: the file.
        folder: the destination; a partial file of an earlier call is resumed.
        url: address of the file.
        headers: sent to the server of `url` only; after a redirect to another host they are dropped.
        observe: called with the bytes of this file downloaded so far.

    Raises:
        CheckpointError: the disk is full, or the hash does not match.
        Exception: errors of huggingface_hub; see `reaching`.
    """
    from huggingface_hub.file_download import http_get

    path = folder / remote.name
    if path.is_file() and _size(path) == remote.size:
        observe(remote.size)
        return path
    partial = _partial(path)
    with room_for(folder):
        path.parent.mkdir(parents=True, exist_ok=True)
        if _size(partial) > remote.size:
            partial.unlink()
        with _ObservedFile(partial, observe) as file:  # the client retries
            http_get(url, file, resume_size=file.tell(), headers=headers, expected_size=remote.size)
        if (found := _digest(partial, remote)) != remote.digest:
            partial.unlink()
            kind = "git hash" if remote.is_git else "sha256"
            raise CheckpointError(
                f"{path}: does not match its hash\n{kind} is {found}, expected {remote.digest}",
                hint=f"the file was deleted; rerun to download it again. If the hash differs again, {url} was "
                "replaced, or a proxy changes it: use a newer vepscore, or another internet connection",
            )
        os.replace(partial, path)
    return path


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock `folder`, which is created if missing, against downloads by other processes.

    Raises:
        CheckpointError: another process holds the lock, or the folder cannot be written.
    """
    with room_for(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(
                f"{folder}: another process is downloading to this directory",
                hint="rerun when it has finished",
            ) from error
        except OSError as error:
            log.debug("%s: no lock on this file system: %s", folder, error)
        yield


@contextlib.contextmanager
def room_for(folder: Path) -> Iterator[None]:
    """Raise CheckpointError, with a hint, if the operating system cannot write to `folder`."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # an error of the HTTP library
            raise
        hint = "set VEPSCORE_CACHE to a directory that can be written"
        if error.errno in _DISK_FULL:
            hint = "free some space and rerun: the download resumes where it stopped; or " + hint
        raise CheckpointError(f"{folder}: cannot be written: {error.strerror or error}", hint=hint) from error


@contextlib.contextmanager
def reaching(
    url: str, explain: "Callable[[HfHubHTTPError], CheckpointError | None]" = lambda error: None
) -> Iterator[None]:
    """Raise CheckpointError, with a hint, if huggingface_hub cannot reach the server of `url`, or is refused."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except HfHubHTTPError as error:
        response = error.response
        status, reason = response.status_code, response.reason_phrase
        raise explain(error) or refused(str(response.url), status, reason) from error
    except Exception as error:
        library = type(error).__module__.partition(".")[0]
        if library in _HTTP_LIBRARIES or (isinstance(error, OSError) and error.errno is None):
            raise unreachable(url, error) from error
        raise


def unreachable(url: str, error: object) -> CheckpointError:
    """Return the error to raise if the server at `url` does not answer, or the transfer breaks off."""
    text = str(error) or type(error).__name__
    hint = _RESUME_HINT
    if "CERTIFICATE_VERIFY_FAILED" in text:
        hint = "behind a proxy with its own certificates, set SSL_CERT_FILE to the file that contains them"
    return CheckpointError(f"{host_of(url)} cannot be reached, or the transfer broke off\n{text}", hint=hint)


def refused(url: str, status: int, reason: str) -> CheckpointError:
    """Return the error to raise if the server at `url` answers with an HTTP error status."""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY:
        hint = "the server is busy or has a problem: rerun later, and the download resumes where it stopped"
    else:
        hint = "rerun; if the error persists, the file has moved, or a proxy blocks it"
    unsigned = url.partition("?")[0]
    return CheckpointError(f"{host_of(url)} answers {status} {reason}\n{unsigned}", hint=hint)


def check_library() -> None:
    """Raise CheckpointError if huggingface_hub cannot be imported; keep it from drawing and printing by itself."""
    try:
        from huggingface_hub.utils import disable_progress_bars
        from huggingface_hub.utils import logging as library_logging
    except ImportError as error:
        raise CheckpointError(
            f"huggingface_hub is not installed, or broken: {error}", hint=EXTRA_HINT
        ) from error
    disable_progress_bars()
    library_logging.get_logger().handlers.clear()  # its warnings go to the root logger too


def host_of(url: str) -> str:
    """Return the host of an address; all of a text that is none."""
    return urlsplit(url).hostname or url


class _ObservedFile(io.FileIO):
    """A file to append to that reports its size after every write."""

    def __init__(self, path: Path, observe: Callable[[int], None]) -> None:
        super().__init__(path, "ab")
        self._observe = observe
        observe(self.tell())

    def write(self, data: bytes) -> int:  # type: ignore[override]  # of any buffer
        count = super().write(data)
        self._observe(self.tell())
        return count


def _check_space(folder: Path, remotes: Iterable[RemoteFile]) -> None:
    """Check that the files that are missing fit on the disk.

    Raises:
        CheckpointError: they do not.
    """
    paths = {folder / remote.name: remote.size for remote in remotes}
    missing = sum(size - max(_size(path), _size(_partial(path))) for path, size in paths.items())
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise CheckpointError(
            f"{folder}: {missing / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free",
            hint="free some space, or set VEPSCORE_CACHE to a directory on another disk",
        )


def _digest(path: Path, remote: RemoteFile) -> str:
    if not remote.is_git:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    content = path.read_bytes()  # a small file
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content).hexdigest()


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.partial")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
