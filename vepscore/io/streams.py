"""Outputs that are not regular files: standard output, FIFOs, devices and open descriptors such as /dev/stdout.

Such an output is written as results come; renaming a file to its place would replace it. It takes text, not the
formats that need an index or seek.
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

_DESCRIPTOR_FOLDERS = re.compile(r"/dev/fd|/proc/(\d+)(?:/task/\d+)?/fd")
_MOST_LINKS = 40  # as many as Linux follows
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
    """Return the number of the open file that a path such as /dev/stdout or /dev/fd/3 names; None for other paths."""
    path = os.path.abspath(name)
    for _ in range(_MOST_LINKS):
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
    """Return the suffix that tells the format of an output.

    A stream whose name ends in none of the suffixes takes the first of them, where that is text.

    Args:
        name: the output.
        suffixes: those of the formats that it may have.

    Raises:
        UsageError: the name ends in none of them, or the output is a stream and its format is not one for streams.
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
            f"output {name}\nis not a regular file, and the format {found} needs one",
            hint="write text to it, or name a regular file",
        )
    return found


def check_stream(name: str | Path) -> None:
    """Refuse an output that exists and can be neither replaced nor written as a stream.

    Raises:
        UsageError: it is a block device or a socket, or a descriptor that is not open for writing.
    """
    descriptor = find_descriptor(name)
    if descriptor is not None:
        _check_descriptor(name, descriptor)
        return
    with contextlib.suppress(OSError, ValueError):
        mode = os.stat(name).st_mode
        if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
            kind = "a block device" if stat.S_ISBLK(mode) else "a socket"
            raise UsageError(f"output {name}\nis {kind}; expected a regular file, a FIFO or a terminal")


def _check_descriptor(name: str | Path, descriptor: int) -> None:
    try:
        mode = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError as error:
        raise UsageError(f"output {name}\nno file is open under this number") from error
    if mode == os.O_RDONLY:
        raise UsageError(f"output {name}\nis open for reading only")


def open_target(name: str | Path, companions: tuple[str, ...] = ()) -> "StagedFile | Stream":
    """Return what an output is written through: a staged file, or the stream itself.

    Args:
        name: the output; "-" is standard output.
        companions: suffixes of the side files that a regular file has, as of `StagedFile`.
    """
    if str(name) == STDOUT or find_descriptor(name) == 1:
        return StandardOutput()
    return Stream(name) if is_stream(name) else StagedFile(name, companions)


def open_text_output(target: "StagedFile | Stream", suffix: str) -> Any:
    """Open an output for text, given as bytes; a `suffix` that ends in .gz compresses it with bgzip."""
    if not suffix.endswith(".gz"):
        return target.open()
    import pysam  # only here, since `vepscore --help` is to be fast

    assert isinstance(target, StagedFile)  # only the suffixes of text may name a stream
    return pysam.BGZFile(str(target.temporary), "wb")


class Stream:
    """A stream in place of a `StagedFile`: there is nothing to rename, and nothing can be taken back.

    Args:
        name: a path. A FIFO is opened when the output is created, which waits for its reader.
    """

    def __init__(self, name: str | Path) -> None:
        self.name = str(name)
        self._file: Any = None

    def create(self) -> None:
        """Open the stream.

        Raises:
            OutputError: it cannot be opened.
        """
        descriptor = find_descriptor(self.name)
        with writing(self.name):
            # A descriptor is duplicated: opening its path again would truncate a file at its end.
            self._file = open(self.name if descriptor is None else os.dup(descriptor), "wb")  # noqa: SIM115

    def open(self) -> Any:
        """Return the open file, which takes bytes."""
        return self._file

    def scratch(self, suffix: str) -> Path:
        """Return the path of a file that the writer needs meanwhile and removes itself."""
        return scratch_folder() / f"{secrets.token_hex(4)}{suffix}"

    def publish(self) -> None:
        """Do nothing: the writer has closed the file."""

    def discard(self) -> None:
        """Close the file; what was written is gone downstream."""
        with contextlib.suppress(OSError):
            self._file.close()


class StandardOutput(Stream):
    """Standard output, which stays open."""

    def __init__(self) -> None:
        super().__init__("standard output")

    def create(self) -> None:
        """Check that there is one.

        Raises:
            OutputError: it was closed before the program began.
        """
        if sys.stdout is None:
            raise OutputError("standard output\nis closed", hint="name a file with -o")
        self._file = _KeptOpen()

    def publish(self) -> None:
        """Write what Python has buffered.

        Raises:
            OutputError: it cannot be written.
        """
        with writing(self.name):
            sys.stdout.buffer.flush()

    def discard(self) -> None:
        """Do nothing: what was written is gone downstream."""


class _KeptOpen:
    """Standard output for a writer that closes its file."""

    def __init__(self) -> None:
        self.write = sys.stdout.buffer.write

    def close(self) -> None:
        """Leave it open."""
