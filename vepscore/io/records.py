"""The records of a VCF or BCF, read so that what is not ours to change stays byte for byte.

VCF text is handled as lines, because a VCF library would reformat its numbers. Only line ends become LF, and spaces and
empty columns at the end of a line, beyond the columns of the header, are removed. BCF has no text of its own, so there
the text that htslib makes of each record counts as the input.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from vepscore.errors import InputError
from vepscore.io.header import VcfHeader, parse_header
from vepscore.io.lines import STDIN, Lines, open_lines

MAX_POS1 = 2**31 - 1

_INFO_COLUMN = 7
_RECORD_HINT = "records are counted from 0; check the file with `bcftools view`"
_WIDTH_HINT = "give the line that starts with #CHROM and its records the same columns"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of a VCF's body."""

    index: int  # 0-based among the records of the input
    chrom: str  # as the VCF names it
    pos1: int  # POS, 1-based
    id: str  # "." where there is none
    ref: str  # in the case it has in the VCF
    alts: tuple[str, ...]  # empty where ALT is "."
    line: bytes  # the whole line, without its end


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What is known of an input before its records are read one by one."""

    counts: Mapping[str, int]  # contig that records are on, in order of appearance, to their number
    records: int

    @property
    def contigs(self) -> tuple[str, ...]:
        """The contigs that records are on, in order of appearance."""
        return tuple(self.counts)


class RecordReader:
    """Iterates once over the records of one input; a context manager. Made by `open_records`."""

    def __init__(self, source: Lines, header: VcfHeader, close: Callable[[], None]) -> None:
        self.name = source.name  # for messages
        self.header = header
        self._source = source
        self._close = close
        self._tabs = header.column_count - 1  # in each record

    def __iter__(self) -> Iterator[Record]:
        """The records in order.

        Raises:
            InputError: a line is malformed, or the input is cut short.
        """
        return (
            self._record(index, *self._split(index, number, line)) for index, number, line in self._numbered()
        )

    def scan(self) -> "Scan":
        """Read to the end, check every line as iterating does, and return what all records amount to.

        Raises:
            InputError: as iterating does.
        """
        counts: collections.Counter[bytes] = collections.Counter()
        for index, number, line in self._numbered():
            _, (name, *_) = self._split(index, number, line)
            counts[name] += 1
        named = {name.decode("utf-8", "replace"): count for name, count in counts.items()}
        return Scan(counts=named, records=counts.total())

    def close(self) -> None:
        """Closes the input, but never standard input."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _numbered(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield each record's index, its 1-based line number and its line; an empty line holds no record."""
        index = 0
        for number, line in enumerate(self._source.lines, len(self.header.meta) + 2):
            if line:
                yield index, number, line
                index += 1

    def _split(self, index: int, number: int, line: bytes) -> tuple[bytes, list[bytes]]:
        """Check a record's form: return its line and its columns, of which the ninth is all that follows INFO.

        Raises:
            InputError: htslib or we could not read such a record.
        """
        if line.count(b"\t") != self._tabs or line.endswith(b" "):
            line = self._trimmed(index, number, line)
        if b"\0" in line:
            raise self._malformed(index, number, "a NUL byte", "text")
        parts = line.split(b"\t", _INFO_COLUMN + 1)
        if not parts[0]:
            raise self._malformed(index, number, "an empty CHROM", "the name of a contig")
        pos1 = int(parts[1]) if parts[1].isdigit() and len(parts[1]) <= len(str(MAX_POS1)) else -1
        if not 0 <= pos1 <= MAX_POS1:
            raise self._malformed(
                index, number, f"POS {_shown(parts[1])}", f"an integer from 0 to {MAX_POS1}"
            )
        if b" " in parts[_INFO_COLUMN]:
            self._check_keys(index, number, parts[_INFO_COLUMN])
        return line, parts

    def _trimmed(self, index: int, number: int, line: bytes) -> bytes:
        """Return the line without the spaces and empty columns that it has at its end beyond the header's columns.

        A last column that is empty, or nothing but spaces, is no end to be trimmed: htslib may refuse what is left.
        """
        count = self._tabs + 1
        columns = line.split(b"\t")
        last = columns[count - 1].rstrip(b" ") if len(columns) >= count else b""
        extra = columns[count:]
        if len(columns) < count or any(column.strip(b" ") for column in extra) or (extra and not last):
            expected = f"{count} as in the header, separated by tabs"
            raise self._malformed(index, number, f"{len(columns)} columns", expected, _WIDTH_HINT)
        return b"\t".join([*columns[: count - 1], last]) if last else line

    def _check_keys(self, index: int, number: int, info: bytes) -> None:
        """Refuse a key of INFO that no header line can declare."""
        for pair in info.split(b";"):
            key = pair.partition(b"=")[0]
            if key != key.strip(b" "):
                raise self._malformed(index, number, f"INFO key {_shown(key)}", "no spaces around it")

    def _record(self, index: int, line: bytes, parts: list[bytes]) -> Record:
        chrom, pos1, identifier, ref, alt = b"\t".join(parts[:5]).decode("utf-8", "replace").split("\t")
        return Record(
            index=index,
            chrom=chrom,
            pos1=int(pos1),
            id=identifier,
            ref=ref,
            alts=() if alt == "." else tuple(alt.split(",")),
            line=line,
        )

    def _malformed(
        self, index: int, number: int, found: str, expected: str, hint: str = _RECORD_HINT
    ) -> InputError:
        line = f" (line {number})" if self._source.numbered else ""
        return InputError(
            f"{self.name} record {index}{line}\nfound {found}, expected {expected}",
            hint=hint,
        )


def _shown(text: bytes) -> str:
    return repr(text[:40].decode("utf-8", "replace"))


def open_records(path: str | Path) -> RecordReader:
    """Opens a VCF (plain, gzip or bgzip) or BCF, told apart by content; "-" is standard input.

    Raises:
        InputError: there is no such file, it is none of these, or it is cut short.
    """
    with contextlib.ExitStack() as stack:
        source = open_lines(str(path), stack)
        header = parse_header((line.decode("utf-8", "surrogateescape") for line in source.lines), source.name)
        return RecordReader(source, header, stack.pop_all().close)


def scan_records(path: str | Path) -> Scan | None:
    """Reads a file through, fast.

    None where this cannot be done beforehand: standard input and pipes can be read only once.

    Raises:
        InputError: as `open_records`.
    """
    if str(path) == STDIN or not Path(path).is_file():
        return None
    with open_records(path) as reader:
        return reader.scan()
