"""Outputs that are not regular files: standard output, FIFOs, devices and open descriptors such as /dev/stdout.

A stream is written as results arrive, because renaming a file to its path would replace it. It accepts text, but not
formats that require an index or seeking.
"""

import contextlib
import fcntl
import os
import re
import secrets
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vepscore.errors import OutputError, UsageError
from vepscore.io.atomic import StagedFile, writing
from vepscore.paths import scratch_folder

STDOUT = "-"
_STDOUT_DESCRIPTOR = 1

_DESCRIPTOR_FOLDERS = re.compile(r"/dev/fd|/proc/(\d+)(?:/task/\d+)?/fd")
_MAX_LINKS = 40  # the limit of Linux
_TEXT = (".vcf", ".tsv", ".html")
_STREAMED = (*_TEXT, ".htm", ".svg", ".png")


def is_stream(name: str | Path) -> bool:
    """Return whether an output exists and is neither a regular file nor a folder; "-" is standard output."""
    if str(name) == STDOUT or find_descriptor(name) is not None:
        return True
    try:
        mode = os.stat(name).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def find_descriptor(name: str | Path) -> int | None:
    """Return the descriptor that a path such as /dev/stdout or /dev/fd/3 refers to; None for other paths."""
    path = os.path.abspath(name)
    for _ in range(_MAX_LINKS):
        folder, last = os.path.split(path)
        folder = os.path.realpath(folder)
        match = _DESCRIPTOR_FOLDERS.fullmatch(folder)
        if match and match[1] in (None, str(os.getpid())) and last.isascii() and last.isdigit():
            return int(last)
        if not os.path.islink(path):
            return None
        path = os.path.abspath(os.path.join(folder, os.readlink(path)))
    return None


def output_suffix(name: str | Path, suffixes: Sequence[str]) -> str:
    """Return the suffix that determines the format of an output.

    For a stream without one of the suffixes it is the first one, if that is a text format.

    Args:
        name: the output.
        suffixes: suffixes of the formats that are allowed.

    Raises:
        UsageError: the name has none of the suffixes, or the output is a stream and its format requires a file.
    """
    text = str(name)
    found = max((suffix for suffix in suffixes if text.endswith(suffix)), key=len, default=None)
    if found is None and suffixes[0] in _TEXT and is_stream(name):
        return suffixes[0]
    if found is None:
        *others, last = suffixes
        expected = f"{', '.join(others)} or {last}" if others else last
        raise UsageError(f"output {name}\nexpected a name that ends in {expected}")
    if found not in _STREAMED and is_stream(name):
        raise UsageError(
            f"output {name}\nis not a regular file, which the format {found} requires",
            hint="write text to it, or name a regular file",
        )
    return found


def check_stream(name: str | Path) -> None:
    """Refuse an existing output that can be neither replaced nor written as a stream.

    Raises:
        UsageError: the output is a block device, a socket, or a descriptor that is not open for writing.
    """
    descriptor = find_descriptor(name)
    if descriptor is not None:
        _check_descriptor(name, descriptor)
        return
    with contextlib.suppress(OSError, ValueError):
        mode = os.stat(name).st_mode
        if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
            kind = "a block device" if stat.S_ISBLK(mode) else "a socket"
            raise UsageError(f"output {name}\nis {kind}, expected a regular file, a FIFO or a terminal")


def _check_descriptor(name: str | Path, descriptor: int) -> None:
    try:
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError as error:
        raise UsageError(f"output {name}\nis not an open descriptor") from error
    if mode == os.O_RDONLY:
        raise UsageError(f"output {name}\nis open only for reading")


def open_target(name: str | Path, companions: tuple[str, ...] = ()) -> "Target":
    """Return the target of an output: a staged file with `companions`, or the stream itself."""
    return Stream(name) if is_stream(name) else StagedFile(name, companions)


class Stream:
    """A target that is written directly: nothing is renamed, and nothing can be discarded."""

    def __init__(self, name: str | Path) -> None:
        self._name = str(name)
        self._file: Any = None

    def create(self) -> None:
        """Open the stream; a FIFO waits for its reader.

        Raises:
            OutputError: the stream cannot be opened.
        """
        descriptor = _STDOUT_DESCRIPTOR if self._name == STDOUT else find_descriptor(self._name)
        if descriptor == _STDOUT_DESCRIPTOR and sys.stdout is None:
            raise OutputError("standard output\nis closed", hint="name a file with -o")
        with writing(self._name):
            # A descriptor is duplicated, because opening its path would truncate a file.
            self._file = open(self._name if descriptor is None else os.dup(descriptor), "wb")  # noqa: SIM115

    def open(self) -> Any:
        """Return the open binary file."""
        return self._file

    def scratch(self, suffix: str) -> Path:
        """Return the path of a temporary file, which the writer removes."""
        return scratch_folder() / f"{secrets.token_hex(4)}{suffix}"

    def publish(self) -> None:
        """Do nothing, because the writer has closed the file."""

    def discard(self) -> None:
        """Close the file; its reader has already received what was written."""
        with contextlib.suppress(OSError):
            self._file.close()


Target = StagedFile | Stream
