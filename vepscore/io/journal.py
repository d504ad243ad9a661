"""The journal of a run: the results that it has so far, kept beside its output, so that a killed run goes on.

A file of frames, each with its length and a checksum. The first says which run it is of; each other one has the results
of a record. A frame that a kill cut off is dropped when the file is opened again.
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

_MAGIC = b"vepscore progress, format 3\n"
_FRAME = struct.Struct("<QI")  # bytes of what follows, their CRC-32
_ENTRY = struct.Struct("<QI")  # index of the record, CRC-32 of its line
_SYNC_SECONDS = 10.0  # at most, of work that is lost with the machine; a killed process loses none


class Journal:
    """Results of records by their index. Made by `open_journal`."""

    def __init__(self, path: Path, file: BinaryIO, facts: Mapping[str, str]) -> None:
        self._path = path
        self._file = file
        self._facts = dict(facts)
        self._places: dict[int, tuple[int, int]] = {}  # of entries: offset and length
        self._synced = time.monotonic()
        self.is_empty = True

    def __contains__(self, record: Record) -> bool:
        return record.index in self._places

    def __len__(self) -> int:
        return len(self._places)

    def read(self, record: Record) -> tuple[AlleleResult, ...]:
        """The results of a record that the journal contains.

        Raises:
            InputError: they are of another record, or damaged.
        """
        offset, length = self._places[record.index]
        entry = os.pread(self._file.fileno(), length, offset)
        index, checksum = _ENTRY.unpack_from(entry)
        if (index, checksum) != (record.index, zlib.crc32(record.line)):
            raise InputError(
                f"record {record.index}, {record.chrom}:{record.pos1}\n"
                f"is not the one whose results are in {self._path}",
                hint="the input has changed: start anew with --no-resume",
            )
        try:
            return decode_results(entry[_ENTRY.size :])
        except ValueError as error:
            raise InputError(
                f"{self._path}\nis damaged at record {record.index}: {error}",
                hint="start anew with --no-resume",
            ) from error

    def append(self, result: RecordResult) -> None:
        """Keeps the results of a record.

        Raises:
            OutputError: the disk is full, and so on.
        """
        entry = _ENTRY.pack(result.record.index, zlib.crc32(result.record.line))
        with writing(self._path):
            self._write(entry + encode_results(result.alleles))
            self.is_empty = False
            if time.monotonic() > self._synced + _SYNC_SECONDS:
                self.sync()

    def sync(self) -> None:
        """Waits until all of it is on the disk."""
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _write(self, payload: bytes) -> None:
        self._file.write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)
        self._file.flush()  # to the system, where a kill cannot reach it

    def clear(self) -> None:
        """Forgets all results."""
        with writing(self._path):
            self._file.seek(0)
            self._file.truncate()
            self._file.write(_MAGIC)
            self._write(json.dumps(self._facts).encode())
        self._places.clear()
        self.is_empty = True

    def recover(self) -> None:
        """Finds the results that a run of the same facts has left; none where the file is new.

        Raises:
            OutputError: it is of another run.
        """
        found = self._read_through()
        if found is None:
            self.clear()
        else:
            _check_facts(found, self._facts, self._path)
            self.is_empty = not self._places

    def _read_through(self) -> dict[str, str] | None:
        """The facts of the run that wrote the file, and the places of its entries; None where there are none."""
        self._file.seek(0)
        if self._file.read(len(_MAGIC)) != _MAGIC:
            return None
        facts, end = None, len(_MAGIC)
        for offset, payload in self._whole_frames():
            if facts is None:
                if (facts := _parse_facts(payload)) is None:
                    break
            elif len(payload) > _ENTRY.size:
                self._places[_ENTRY.unpack_from(payload)[0]] = offset, len(payload)
            else:
                break
            end = offset + len(payload)
        self._file.seek(end)
        self._file.truncate()
        return facts

    def _whole_frames(self) -> Iterator[tuple[int, bytes]]:
        """Offset and content of the frames up to the first that is cut off or damaged."""
        size = os.fstat(self._file.fileno()).st_size
        while len(head := self._file.read(_FRAME.size)) == _FRAME.size:
            length, checksum = _FRAME.unpack(head)
            offset = self._file.tell()
            if not 0 < length <= size - offset:  # a machine that stops may leave zeros at the end
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
def open_journal(output: Path, facts: Mapping[str, str], *, resume: bool) -> Iterator[Journal]:
    """The journal beside an output. It is removed when the context ends well, and otherwise stays if it has results.

    Args:
        output: the file that the run writes.
        facts: what the results hang on, by name; a journal of a run with others is not used.
        resume: use the results that are there, rather than start anew.

    Raises:
        OutputError: it cannot be written, another run is at work, or the one that is there is of another run.
    """
    path = journal_path(output)
    with writing(path):
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
    with file:
        _lock(file, path, output)
        journal = Journal(path, file, facts)
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
    """Held until the file is closed, or the process ends however it does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OutputError(
            f"{output}\nanother run is writing it, and holds {path}",
            hint="wait for it, or choose another output",
        ) from error
    except OSError:
        pass  # a file system without locks


def _parse_facts(payload: bytes) -> dict[str, str] | None:
    try:
        facts = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return facts if isinstance(facts, dict) else None


def _check_facts(found: Mapping[str, str], expected: Mapping[str, str], path: Path) -> None:
    lines = [
        f"{name}: found {found.get(name, 'none')}, expected {expected.get(name, 'none')}"
        for name in dict.fromkeys([*expected, *found])
        if found.get(name) != expected.get(name)
    ]
    if lines:
        raise OutputError(
            "\n".join([f"{path}\nis what another run has left", *lines]),
            hint="go on with the options and files of that run, or start anew with --no-resume",
        )
