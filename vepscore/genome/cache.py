"""The cache directory, and the cached hashes of large files.

A cache that cannot be written costs time but never a result: write errors are only logged.
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
    """Return the cache directory for parsed, indexed and hashed files: $VEPSCORE_CACHE or the user's cache directory.

    For a user without a home folder it is a temporary one, removed at exit.
    """
    chosen = os.environ.get(ENVIRONMENT_VARIABLE)
    if chosen:
        return Path(chosen)
    provide_home()
    return Path(platformdirs.user_cache_dir("vepscore"))


@contextlib.contextmanager
def published(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; rename it to `path` after a clean exit, remove it otherwise.

    Concurrent processes therefore never see an incomplete file.

    Raises:
        OSError: the folder cannot be created or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
        partial = Path(folder) / path.name
        yield partial
        os.replace(partial, path)


def file_stamp(path: Path) -> str:
    """Return an ASCII text that identifies a file without reading it: its path, size and modification time."""
    resolved = path.resolve()
    stat = resolved.stat()
    quoted = urllib.parse.quote_from_bytes(os.fsencode(resolved), safe="/ !#$&'()*+,:;=?@[]")
    return f"{quoted}\n{stat.st_size}\n{stat.st_mtime_ns}"


def file_digest(path: Path | str, cache: Path | None = None) -> str:
    """Return the sha256 of a file in hex, cached in `cache` or `cache_dir()` by path, size and modification time.

    Raises:
        OSError: the file cannot be read.
    """
    path = Path(path)
    stamp = file_stamp(path)
    key = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    entry = (cache or cache_dir()) / "digests" / f"{key}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(entry.read_text())
        if known["stamp"] == stamp:
            return known["sha256"]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with published(entry) as partial:
            partial.write_text(json.dumps({"stamp": stamp, "sha256": digest}))
    except OSError as error:
        log.debug("cannot save the hash of a file in %s: %s", entry.parent, error)
    return digest
