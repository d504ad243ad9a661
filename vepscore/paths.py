"""Paths that are not UTF-8, and the temporary folder and the home folder of this process.

A path is a sequence of bytes. Python represents a byte that it cannot decode as a surrogate, which UTF-8 files must not
contain and which libraries that encode paths as UTF-8 refuse.
"""

import atexit
import functools
import os
import re
import shutil
from pathlib import Path

_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]")
_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # surrogates that do not stand for a byte


def escape_bytes(text: str) -> str:
    r"""Return `text` as valid Unicode, with `\xNN` for each byte that is not UTF-8."""
    if text.isascii():
        return text
    text = _LONE_SURROGATE.sub(lambda match: ascii(match[0])[1:-1], text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Return whether a path can be encoded as UTF-8."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def safe_name(name: str) -> str:
    """Return a file name, with `_` for unusual characters if it is not UTF-8."""
    return name if is_utf8(name) else _UNSAFE.sub("_", name)


def utf8_path(path: str | os.PathLike[str]) -> Path:
    """Return a path for libraries that accept only UTF-8: `path`, or a link to it in the temporary folder.

    The name of the link has the same suffixes.
    """
    path = Path(path)
    if is_utf8(path):
        return path
    import hashlib

    target = path.absolute()
    link = scratch_folder() / hashlib.sha256(os.fsencode(target)).hexdigest()[:16] / safe_name(target.name)
    link.parent.mkdir(exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(target)
    return link


@functools.cache
def scratch_folder() -> Path:
    """Return the temporary folder of this process, which is removed at exit.

    Raises:
        OSError: no temporary folder can be created.
    """
    import tempfile  # imported here to keep `vepscore --help` fast

    parent = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="vepscore-", dir=parent if is_utf8(parent) else "/tmp"))
    atexit.register(_remove_own, folder, os.getpid())
    return folder


def is_scratch(path: Path) -> bool:
    """Return whether a path lies in the temporary folder of this process."""
    return bool(scratch_folder.cache_info().currsize) and path.is_relative_to(scratch_folder())


def remove_scratch() -> None:
    """Remove the temporary folder of this process, if there is one."""
    if scratch_folder.cache_info().currsize:
        shutil.rmtree(scratch_folder(), ignore_errors=True)


def provide_home() -> None:
    """Set $HOME to a temporary folder if the user has no home folder, which some libraries require.

    That is so if $HOME is not a folder, or if it is unset and the password database has no entry for the user.
    """
    if not os.environ.get("HOME"):
        os.environ.pop("HOME", None)  # some libraries take an empty $HOME for the root folder
    if not os.path.isdir(os.path.expanduser("~")):
        home = scratch_folder() / "home"
        home.mkdir(exist_ok=True)
        os.environ["HOME"] = str(home)


def _remove_own(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
