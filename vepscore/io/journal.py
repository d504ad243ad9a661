"""The journal of a run: its results so far, kept beside its output, from which an interrupted run resumes.

A journal is a file of frames, each with its length and a checksum. The first frame has the key of the run, each other
one the results of a record. A truncated last frame is dropped when the file is opened again.
"""

import contextlib
import fcntl
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from vepscore.errors import InputError, OutputError
from vepscore.io.atomic import writing
from vepscore.io.codec import decode_results, encode_results
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult

SUFFIX = ".vepscore-progress"

_MAGIC = b"vepscore progress, format 4\n"
_FRAME = struct.Struct("<QI")  # length and CRC-32 of the payload
_ENTRY = struct.Struct("<QI")  # index of the record, CRC-32 of its line
_SYNC_SECONDS = 10.0  # a machine that crashes loses at most this much work; a killed process loses none


class Journal:
    """Results by record. Use `open_journal` to create one."""

    def __init__(self, path: Path, file: BinaryIO, key: Mapping[str, str]) -> None:
        self._path = path
        self._file = file
        self._key = dict(key)
        self._entries: dict[int, tuple[int, int]] = {}  # offset and length by index of the record
        self._synced = time.monotonic()
        self.is_empty = True

    def __contains__(self, record: Record) -> bool:
        return record.index in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def read(self, record: Record) -> tuple[AlleleResult, ...]:
        """Return the results of a record that the journal contains.

        Raises:
            InputError: the results are of another record, or damaged.
        """
        offset, length = self._entries[record.index]
        entry = os.pread(self._file.fileno(), length, offset)
        index, checksum = _ENTRY.unpack_from(entry)
        if (index, checksum) != (record.index, zlib.crc32(record.line)):
            raise InputError(
                f"record {record.index}, {record.chrom}:{record.pos1}\n"
                f"differs from the record whose results are in {self._path}",
                hint="the input was modified: start over with --no-resume",
            )
        try:
            return decode_results(entry[_ENTRY.size :])
        except ValueError as error:
            raise InputError(
                f"{self._path}\nis damaged at record {record.index}: {error}",
                hint="start over with --no-resume",
            ) from error

    def append(self, result: RecordResult) -> None:
        """Append the results of a record.

        Raises:
            OutputError: the journal cannot be written (e.g. disk full).
        """
        entry = _ENTRY.pack(result.record.index, zlib.crc32(result.record.line))
        with writing(self._path):
            self._write(entry + encode_results(result.alleles))
            self.is_empty = False
            if time.monotonic() > self._synced + _SYNC_SECONDS:
                self.sync()

    def sync(self) -> None:
        """Flush the journal to the disk."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _write(self, payload: bytes) -> None:
        self._file.write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()  # to the operating system, so that a killed process loses nothing

    def clear(self) -> None:
        """Remove all results."""
        with writing(self._path):
            self._file.seek(0)
            self._file.truncate()
            self._file.write(_MAGIC)
            self._write(json.dumps(self._key).encode())
        self._entries.clear()
        self.is_empty = True

    def recover(self) -> None:
        """Find the results of an earlier run with the same key, if there are any.

        Raises:
            OutputError: the journal has another key.
        """
        self._file.seek(0)
        is_ours = self._file.read(len(_MAGIC)) == _MAGIC
        frames = self._complete_frames() if is_ours else iter(())
        offset, payload = next(frames, (0, b""))
        found = _parse_key(payload)
        if found is None:
            self.clear()
            return
        end = offset + len(payload)
        for offset, payload in frames:
            if len(payload) <= _ENTRY.size:
                break
            self._entries[_ENTRY.unpack_from(payload)[0]] = offset, len(payload)
            end = offset + len(payload)
        self._file.seek(end)
        self._file.truncate()
        _check_key(found, self._key, self._path)
        self.is_empty = not self._entries

    def _complete_frames(self) -> Iterator[tuple[int, bytes]]:
        """Yield offset and payload of each frame up to the first one that is truncated or damaged."""
        size = os.fstat(self._file.fileno()).st_size
        while len(head := self._file.read(_FRAME.size)) == _FRAME.size:
            length, checksum = _FRAME.unpack(head)
            offset = self._file.tell()
            if not 0 < length <= size - offset:  # a machine that crashes may leave zeros at the end
                return
            payload = self._file.read(length)
            if zlib.crc32(payload) != checksum:
                return
            yield offset, payload


def journal_path(output: str | Path) -> Path:
    """Return the path of the journal beside an output."""
    path = Path(os.path.realpath(output))
    return path.with_name(f".{path.name}{SUFFIX}")


@contextlib.contextmanager
def open_journal(output: Path, key: Mapping[str, str], *, resume: bool) -> Iterator[Journal]:
    """Open the journal beside an output. A clean exit removes it; otherwise it is kept if it has results.

    Args:
        output: the file that the run writes.
        key: everything that the results depend on, by name; a journal with another key is refused.
        resume: use the results of an earlier run instead of removing them.

    Raises:
        OutputError: the journal cannot be written, is used by another run, or has another key.
    """
    path = journal_path(output)
    with writing(path):
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    with file:
        _lock(file, path, output)
        journal = Journal(path, file, key)
        if resume:
            journal.recover()
        else:
            journal.clear()
        try:
            yield journal
        except BaseException:
            with contextlib.suppress(OSError):
                if journal.is_empty:
                    path.unlink()
                else:
                    journal.sync()
            raise
        path.unlink()


def _lock(file: BinaryIO, path: Path, output: Path) -> None:
    """Lock the file until it is closed or the process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"{output}\nis being written by another run, which has locked {path}",
            hint="wait for that run, or choose another output",
        ) from error
    except OSError:
        pass  # a file system without locks


def _parse_key(payload: bytes) -> dict[str, str] | None:
    try:
        key = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return key if isinstance(key, dict) else None


def _check_key(found: Mapping[str, str], expected: Mapping[str, str], path: Path) -> None:
    lines = [
        f"{name}: found {found.get(name, 'none')}, expected {expected.get(name, 'none')}"
        for name in dict.fromkeys([*expected, *found])
        if found.get(name) != expected.get(name)
    ]
    if lines:
        raise OutputError(
            "\n".join([f"{path}\nwas left by a run with different inputs or options", *lines]),
            hint="resume with the options and files of that run, or start over with --no-resume",
        )
