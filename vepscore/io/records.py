"""The records of a VCF or BCF, read so that what is not ours to change stays byte for byte.

VCF text is handled as lines, because a VCF library would reformat its numbers; only line ends become LF. BCF
has no text of its own, so there the text that htslib makes of each record counts as the input.
"""

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

    def __iter__(self) -> Iterator[Record]:
        """The records in order.

        Raises:
            InputError: a line is malformed, or the input is cut short.
        """
        index = 0
        first_line = len(self.header.meta) + 2
        for number, line in enumerate(self._source.lines, first_line):
            if line:  # an empty line holds no record
                yield self._record(index, number, line)
                index += 1

    def scan(self) -> "Scan":
        """What all records amount to; reads to the end and makes no records."""
        counts: dict[bytes, int] = {}
        last, in_a_row = b"", 0
        for line in self._source.lines:
            name = line[: line.find(b"\t")]
            if name != last:
                counts[last] = counts.get(last, 0) + in_a_row
                last, in_a_row = name, 0
            in_a_row += bool(line)
        counts[last] = counts.get(last, 0) + in_a_row
        named = {name.decode("utf-8", "replace"): count for name, count in counts.items() if name}
        return Scan(counts=named, records=sum(counts.values()))

    def close(self) -> None:
        """Closes the input, but never standard input."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, index: int, number: int, line: bytes) -> Record:
        parts = line.split(b"\t", 8)
        columns = len(parts) + (parts[8].count(b"\t") if len(parts) > 8 else 0)
        if columns < self.header.column_count:
            expected = f"{self.header.column_count} as in the header, separated by tabs"
            raise self._malformed(index, number, f"{columns} columns", expected)
        if b"\0" in line:
            raise self._malformed(index, number, "a NUL byte", "text")
        if not parts[0]:
            raise self._malformed(index, number, "an empty CHROM", "the name of a contig")
        pos1 = int(parts[1]) if parts[1].isdigit() and len(parts[1]) <= len(str(MAX_POS1)) else -1
        if not 0 <= pos1 <= MAX_POS1:
            found = f"POS {parts[1][:40].decode('utf-8', 'replace')!r}"
            raise self._malformed(index, number, found, f"an integer from 0 to {MAX_POS1}")
        chrom, _, identifier, ref, alt = b"\t".join(parts[:5]).decode("utf-8", "replace").split("\t")
        return Record(
            index=index,
            chrom=chrom,
            pos1=pos1,
            id=identifier,
            ref=ref,
            alts=() if alt == "." else tuple(alt.split(",")),
            line=line,
        )

    def _malformed(self, index: int, number: int, found: str, expected: str) -> InputError:
        line = f" (line {number})" if self._source.numbered else ""
        return InputError(
            f"{self.name} record {index}{line}\nfound {found}, expected {expected}",
            hint="records are counted from 0; check the file with `bcftools view`",
        )


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
