"""Read the lines of a VCF or BCF from a file, a pipe or standard input, compressed or not.

The format is detected from the first bytes, not from the file name. A truncated file is an error, even if it ends
between two compressed blocks.
"""

import contextlib
import gzip
import io
import itertools
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, cast

from vepscore.errors import InputError
from vepscore.genome.text_file import BYTE_ORDER_MARK, GZIP_MAGIC
from vepscore.paths import scratch_folder, utf8_path

STDIN = "-"

_BGZF_MAGIC = GZIP_MAGIC + b"\x08\x04"
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BCF_MAGIC = b"BCF\2"
_BUFFER_BYTES = 1 << 20
_PROBE_BYTES = 256


class Lines(NamedTuple):
    """An input as lines of VCF text."""

    name: str  # for messages
    lines: Iterator[bytes]  # without line ends, the header first
    numbered: bool  # whether these are the input's own lines; False for BCF


def open_lines(path: str, stack: contextlib.ExitStack) -> Lines:
    """Open `path`, "-" for standard input; `stack` closes it.

    Raises:
        InputError: there is no such file, it is neither VCF nor BCF, or it is truncated; some of these errors are
            raised only when the lines are read.
    """
    name = "standard input" if path == STDIN else path
    raw = _standard_input() if path == STDIN else _open_file(path, stack)
    with _reading(name):
        source = _Source(raw)
        if source.is_bgzf and raw.seekable():
            check_bgzip_end(raw, name)
        stream: io.BufferedIOBase = io.BufferedReader(source, _BUFFER_BYTES)
        if source.is_gzip:
            stream = io.BufferedReader(gzip.GzipFile(fileobj=stream), _BUFFER_BYTES)
        start = stream.readline(_PROBE_BYTES).removeprefix(BYTE_ORDER_MARK)
        if start.startswith(_BCF_MAGIC):
            # htslib opens files by name, so a stream is saved to a temporary file first.
            is_stream = path == STDIN or not raw.seekable()
            if is_stream:
                path = _spool(start, stream, stack)
                source.check_end(name)
            return Lines(name, _bcf_lines(path, name), False)
    if not start:
        raise InputError(f"{name}\nis empty, expected a VCF or BCF")
    if not start.startswith(b"#"):
        raise InputError(
            f"{name}\nstarts with {start[:40]!r}, expected ##fileformat=VCFv4.x",
            hint="give a VCF (plain, gzip or bgzip) or a BCF",
        )
    return Lines(name, _text_lines(start, stream, source, name), True)


class _Source(io.RawIOBase):
    """The bytes of `raw`, which keeps the first bytes to detect the format and the last ones to detect truncation."""

    def __init__(self, raw: io.BufferedReader) -> None:
        self._raw = raw
        self._start = raw.read(_PROBE_BYTES)
        self._end = b""  # the last bytes read so far, as many as the end marker of BGZF
        self.is_gzip = self._start.startswith(GZIP_MAGIC)
        self.is_bgzf = self._start.startswith(_BGZF_MAGIC) and self._start[12:14] == b"BC"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data, self._start = self._start or self._raw.read1(len(buffer)), b""
        buffer[: len(data)] = data
        self._end = (self._end + data[-len(_BGZF_END) :])[-len(_BGZF_END) :]
        return len(data)

    def check_end(self, name: str) -> None:
        """Check, after reading everything, that a bgzip file ends with its marker."""
        if self.is_bgzf:
            _check_bgzf_end(self._end, name)


@contextlib.contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, OSError) as error:
        cut = isinstance(error, EOFError)
        raise InputError(
            f"{name}\n{'is truncated' if cut else f'cannot be read: {error}'}",
            hint="copy or download it again; `gzip -t` checks a compressed file",
        ) from error


def _standard_input() -> io.BufferedReader:
    if sys.stdin is None:
        raise InputError(
            "standard input\nis closed, expected a VCF or BCF", hint="pipe one in, or name a file"
        )
    return cast(io.BufferedReader, sys.stdin.buffer)


def _open_file(path: str, stack: contextlib.ExitStack) -> io.BufferedReader:
    if os.path.isdir(path):
        raise InputError(f"{path}\nis a folder, expected a VCF or BCF")
    try:
        return stack.enter_context(open(path, "rb"))
    except OSError as error:
        raise InputError(f"{path}\ncannot be opened: {error.strerror}") from error


def check_bgzip_end(file: BinaryIO, name: str) -> None:
    """Check that a bgzip file ends with its marker.

    Raises:
        InputError: the marker is missing.
    """
    here = file.tell()
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - len(_BGZF_END)))
    _check_bgzf_end(file.read(), name)
    file.seek(here)


def _check_bgzf_end(end: bytes, name: str) -> None:
    if end != _BGZF_END:
        raise InputError(
            f"{name}\nis truncated: the end marker of a bgzip file is missing",
            hint="copy or download it again; if it is complete, `zcat FILE | bgzip` adds the marker",
        )


def _text_lines(start: bytes, stream: io.BufferedIOBase, source: _Source, name: str) -> Iterator[bytes]:
    with _reading(name):
        first = start if start.endswith(b"\n") else start + stream.readline()
        for line in itertools.chain([first], stream):
            if not line.endswith(b"\n"):
                source.check_end(name)  # so that no partial line is read as a record
            yield line.rstrip(b"\r\n")
    source.check_end(name)


def _bcf_lines(path: str, name: str) -> Iterator[bytes]:
    """Yield the header and the records of a BCF as htslib writes them to a VCF."""
    import pysam

    handler = pysam.set_encoding_error_handler("surrogateescape")  # keep bytes that are not UTF-8
    try:
        with quiet_htslib():
            records = pysam.VariantFile(str(utf8_path(path)))
        try:
            for text in itertools.chain(str(records.header).rstrip("\n").split("\n"), records):
                yield str(text).rstrip("\n").encode("utf-8", "surrogateescape")
        finally:
            with contextlib.suppress(OSError):  # after a failed read, closing fails too
                records.close()
    except (OSError, ValueError) as error:
        raise InputError(f"{name}\ncannot be read as BCF: {error}") from error
    finally:
        pysam.set_encoding_error_handler(handler)


@contextlib.contextmanager
def quiet_htslib() -> Iterator[None]:
    """Silence htslib's own messages, such as that there is no index; the caller reports failures."""
    import pysam

    verbosity = pysam.set_verbosity(0)
    try:
        yield
    finally:
        pysam.set_verbosity(verbosity)


def _spool(start: bytes, stream: io.BufferedIOBase, stack: contextlib.ExitStack) -> str:
    """Write `start` and the rest of `stream` to a temporary file and return its path."""
    file = tempfile.NamedTemporaryFile(suffix=".bcf", dir=scratch_folder())  # noqa: SIM115 (`stack` closes it)
    stack.enter_context(file)
    file.write(start)
    shutil.copyfileobj(stream, file, _BUFFER_BYTES)
    file.flush()
    return file.name
