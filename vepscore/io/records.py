"""Read the records of a VCF or BCF without changing their bytes.

VCF text is handled as lines, because a VCF library would reformat its numbers. Only line ends become LF, and trailing
spaces and empty columns beyond the columns of the header are removed. For BCF, htslib's text of each record counts as
the input.
"""

import collections
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from vepscore.errors import InputError
from vepscore.genome.regions import VariantText
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
    chrom: str  # contig name of the VCF
    pos1: int  # POS, 1-based
    id: str  # "." if there is none
    ref: str  # upper or lower case, as in the VCF
    alts: tuple[str, ...]  # empty if ALT is "."
    line: bytes  # the whole line, without its line end


def variant_record(variant: VariantText, index: int = 0) -> Record:
    """Return a variant as a record, which has no line."""
    return Record(
        index=index,
        chrom=variant.chrom,
        pos1=variant.pos1,
        id=".",
        ref=variant.ref,
        alts=(variant.alt,),
        line=b"",
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The number of records of an input and their contigs, from a first pass."""

    counts: Mapping[str, int]  # number of records by contig, in order of appearance
    records: int


class RecordReader:
    """Iterates once over the records of an input. Use `open_records` to create one."""

    def __init__(self, source: Lines, header: VcfHeader) -> None:
        self.name = source.name  # for messages
        self.header = header
        self._source = source
        self._tabs = header.column_count - 1  # tabs in each record

    def __iter__(self) -> Iterator[Record]:
        """Return an iterator over the records, in order.

        Raises:
            InputError: a line is malformed, or the input is truncated.
        """
        return (
            self._record(index, *self._split(index, number, line)) for index, number, line in self._numbered()
        )

    def scan(self) -> Scan:
        """Read to the end, check every line as iteration does, and count the records by contig.

        Raises:
            InputError: a line is malformed, or the input is truncated.
        """
        counts: collections.Counter[bytes] = collections.Counter()
        for index, number, line in self._numbered():
            _, (name, *_) = self._split(index, number, line)
            counts[name] += 1
        named = {name.decode("utf-8", "replace"): count for name, count in counts.items()}
        return Scan(counts=named, records=counts.total())

    def _numbered(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield each record's index, its 1-based line number and its line; empty lines are skipped."""
        index = 0
        for number, line in enumerate(self._source.lines, len(self.header.meta) + 2):
            if line:
                yield index, number, line
                index += 1

    def _split(self, index: int, number: int, line: bytes) -> tuple[bytes, list[bytes]]:
        """Check a record's format. Return its line and its columns; the ninth is everything after INFO."""
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
        """Remove trailing spaces and empty columns beyond the header's columns.

        A last column that is empty or blank is kept, because htslib may refuse the line without it.
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
        """Refuse INFO keys that no header line can declare."""
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


@contextlib.contextmanager
def open_records(path: str | Path) -> Iterator[RecordReader]:
    """Open a VCF (plain, gzip or bgzip) or BCF, detected from its content; "-" is standard input.

    Raises:
        InputError: there is no such file, it has another format, or it is truncated.
    """
    with contextlib.ExitStack() as stack:
        source = open_lines(str(path), stack)
        header = parse_header((line.decode("utf-8", "surrogateescape") for line in source.lines), source.name)
        yield RecordReader(source, header)


def scan_records(path: str | Path) -> Scan | None:
    """Read a file to its end and count its records; None for standard input and pipes, which can be read only once.

    Raises:
        InputError: the file cannot be read, or a line is malformed.
    """
    if str(path) == STDIN or not Path(path).is_file():
        return None
    with open_records(path) as reader:
        return reader.scan()
