"""The cache directory, and the hashes of large files remembered there.

A cache that cannot be written costs time, never a result: failures to write are logged and forgotten.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from vepscore.paths import provide_home

log = logging.getLogger(__name__)

ENVIRONMENT_VARIABLE = "VEPSCORE_CACHE"


def cache_dir() -> Path:
    """Return where what was parsed, indexed and hashed is kept: $VEPSCORE_CACHE or the user's cache directory.

    For a user without a home folder it is a temporary one, removed at exit.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return Path(chosen)
    provide_home()
    return Path(platformdirs.user_cache_dir("vepscore"))


@contextlib.contextmanager
def published(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to it after a clean exit and removed otherwise.

    Processes that fill the cache at the same time therefore never see half a file.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        os.replace(partial, path)


def file_stamp(path: Path) -> str:
    """Return what identifies a file without reading it, in ASCII: its path, size and time of change."""
    resolved = path.resolve()
    stat = resolved.stat()
    return f"{_quote(resolved)}\n{stat.st_size}\n{stat.st_mtime_ns}"


def file_digest(path: Path | str, cache: Path | None = None) -> str:
    """sha256 of the file's bytes in hex, remembered in `cache` by path, size and time of change.

    Args:
        path: the file.
        cache: the cache directory; `cache_dir()` when None.

    Raises:
        OSError: the file cannot be read.
    """
    path = Path(path)
    stamp = file_stamp(path)
    memory = _memory_path(path, cache or cache_dir())
    remembered = _recall(memory, stamp)
    if remembered is not None:
        return remembered
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    _remember(memory, stamp, digest)
    return digest


def _memory_path(path: Path, cache: Path) -> Path:
    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    return cache / "digests" / f"{key}.json"


def _recall(memory: Path, stamp: str) -> str | None:
    try:
        known = json.loads(memory.read_text())
        return known["sha256"] if known["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(memory: Path, stamp: str, digest: str) -> None:
    try:
        with published(memory) as partial:
            partial.write_text(json.dumps({"stamp": stamp, "sha256": digest}))
    except OSError as error:
        log.debug("the hash of a file could not be kept in %s: %s", memory.parent, error)


def _quote(path: Path) -> str:
    """Return a path whose bytes other than printable ASCII are percent-encoded."""
    return urllib.parse.quote_from_bytes(os.fsencode(path), safe="/ !#$&'()*+,:;=?@[]")
