"""Shards joined into what one run would have written, byte for byte.

A part is what `vepscore score --shard I/N` wrote; it says of itself which records of which input it has.
"""

import contextlib
import dataclasses
import gzip
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vepscore.errors import InputError, UsageError
from vepscore.io import parquet, table
from vepscore.io.atomic import StagedFile, StagedWriter, writing
from vepscore.io.header import VcfHeader
from vepscore.io.lines import check_bgzip_end
from vepscore.io.records import open_records
from vepscore.io.table import open_text as open_table_text
from vepscore.io.vcf import STDOUT, VcfWriter
from vepscore.io.vcf import SUFFIXES as VCF_SUFFIXES

_TEXT_SUFFIXES = (".tsv", ".tsv.gz")
ROW_GROUP_ROWS = {  # by the columns of a table
    tuple(parquet.SCHEMA.names): parquet.ROW_GROUP_ROWS,
    tuple(table.SCHEMA.names): table.ROW_GROUP_ROWS,
}
SHARD_KEY = "vepscoreShard"  # of the fact that makes an output a part
_NUMBER = r"(\d{1,15})"
_SHARD = re.compile(
    rf"{_NUMBER}/{_NUMBER} records {_NUMBER} to {_NUMBER} of sha256:([0-9a-f]{{64}})", re.ASCII
)
_RECORD = re.compile(_NUMBER, re.ASCII)
_SHOWN_PARTS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One shard's output."""

    path: Path
    number: int  # 1-based
    count: int  # of all shards
    records: range  # of the input
    input_digest: str  # sha256 of the input
    facts: tuple[str, ...]  # header lines, which all parts have in common

    @classmethod
    def parse(cls, path: Path, lines: Iterable[str]) -> Self:
        """A part by its header lines, `##key=value`.

        Raises:
            InputError: none of them says which shard it is.
        """
        prefix = f"##{SHARD_KEY}="
        own = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
        match = _SHARD.fullmatch(own[0]) if len(own) == 1 else None
        number, count, first, end = map(int, match.groups()[:4]) if match else (0, 0, 0, 0)
        if not (1 <= number <= count and first <= end):
            raise InputError(f"{path}\nis no shard: expected an output of `vepscore score --shard I/N`")
        return cls(
            path=path,
            number=number,
            count=count,
            records=range(first, end),
            input_digest=match[5],
            facts=tuple(line for line in lines if not line.startswith(prefix)),
        )


def merge(paths: Sequence[Path], output: str) -> list[Part]:
    """Joins the parts, given in any order, into one file.

    Args:
        paths: all shards of one run, of one kind: VCF or BCF, long table, or table by allele.
        output: .vcf, .vcf.gz, .bcf or "-" for the first kind; .parquet, .tsv or .tsv.gz as the parts are.

    Returns:
        The parts in their order.

    Raises:
        InputError: a part is missing, doubled, cut short, no shard, or of another run.
        UsageError: the output's name does not go with the parts.
        OutputError: it cannot be written.
    """
    if output == STDOUT or output.endswith(VCF_SUFFIXES):
        return _merge_vcf(paths, output)
    if output.endswith(".parquet"):
        return _merge_parquet(paths, Path(output))
    if output.endswith(_TEXT_SUFFIXES):
        return _merge_text(paths, Path(output))
    expected = ", ".join((*VCF_SUFFIXES, ".parquet", *_TEXT_SUFFIXES))
    raise UsageError(
        f"output {output}\nexpected a name that ends in {expected}, or {STDOUT} for standard output"
    )


def _in_order(parts: Sequence[Part]) -> list[Part]:
    """The parts by their number.

    Raises:
        InputError: they are not all shards of one run, each once.
    """
    first = parts[0]
    for part in parts[1:]:
        _check_same_run(first, part)
    by_number: dict[int, list[Part]] = {}
    for part in parts:
        by_number.setdefault(part.number, []).append(part)
    problems = [
        f"shard {number}/{first.count} is there {len(same)} times: {', '.join(str(part.path) for part in same)}"
        for number, same in sorted(by_number.items())
        if len(same) > 1
    ]
    absent = (str(number) for number in range(1, first.count + 1) if number not in by_number)
    missing = list(itertools.islice(absent, _SHOWN_PARTS + 1))
    if missing:
        shown = ", ".join(missing[:_SHOWN_PARTS]) + (" …" if len(missing) > _SHOWN_PARTS else "")
        problems.append(f"missing of {first.count} shards: {shown}")
    if problems:
        raise InputError("\n".join(["the parts do not make up one run", *problems]))
    return [by_number[number][0] for number in sorted(by_number)]


def _check_same_run(first: Part, part: Part) -> None:
    differences = [
        f"{name}: {theirs} in the first, {own} in this one"
        for name, theirs, own in (
            ("shards", first.count, part.count),
            ("sha256 of the input", first.input_digest, part.input_digest),
        )
        if theirs != own
    ]
    differences += [f"only in the first: {line}" for line in first.facts if line not in part.facts]
    differences += [f"only in this one: {line}" for line in part.facts if line not in first.facts]
    if differences:
        raise InputError(
            "\n".join([f"{part.path}\nis of another run than {first.path}", *differences[:_SHOWN_PARTS]])
        )


def _check_count(part: Part, found: int) -> None:
    if found != len(part.records):
        raise InputError(
            f"{part.path}\nhas {found} records, expected {len(part.records)}", hint="score this shard again"
        )


def _merge_vcf(paths: Sequence[Path], output: str) -> list[Part]:
    parts, headers = [], {}
    for path in paths:
        with open_records(path) as records:
            headers[path] = records.header
            parts.append(Part.parse(path, [*records.header.meta, records.header.columns]))
    parts = _in_order(parts)
    meta = [line for line in headers[parts[0].path].meta if not line.startswith(f"##{SHARD_KEY}=")]
    header = VcfHeader(meta=tuple(meta), columns=headers[parts[0].path].columns)
    with VcfWriter(output, header) as writer:
        for part in parts:
            found = 0
            with open_records(part.path) as records:
                for record in records:
                    writer.write_line(record.line)
                    found += 1
            _check_count(part, found)
    return parts


def _merge_text(paths: Sequence[Path], output: Path) -> list[Part]:
    """Tables by allele: `##` lines, a line of column names, rows."""
    parts = []
    for path in paths:
        with _open_text(path) as file:
            head = list(itertools.takewhile(lambda line: line.startswith("##"), file))
            parts.append(Part.parse(path, [line.rstrip("\n") for line in head]))
    parts = _in_order(parts)
    with _TextFile(output) as writer:
        for part in parts:
            with _open_text(part.path) as file:
                lines = (line for line in file if not line.startswith("##"))
                names = next(lines, "")
                if part is parts[0]:
                    writer.write([*(f"{line}\n" for line in part.facts), names])
                writer.write(_rows_in(part, lines))
    return parts


@contextlib.contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        if opened is gzip.open:
            with path.open("rb") as file:
                check_bgzip_end(file, str(path))
        with opened(path, "rt", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}\ncannot be read: {error}", hint="score this shard again") from error


def _rows_in(part: Part, rows: Iterable[str]) -> Iterator[str]:
    for row in rows:
        record = row.partition("\t")[0]
        if not _RECORD.fullmatch(record) or int(record) not in part.records or not row.endswith("\n"):
            raise _foreign_row(part, record[:40])
        yield row


def _foreign_row(part: Part, record: object) -> InputError:
    expected = f"records {part.records.start} to {part.records.stop - 1}"
    return InputError(
        f"{part.path}\nhas a row of record {record}, expected {expected}", hint="score this shard again"
    )


class _TextFile(StagedWriter):
    """Plain or bgzipped text."""

    def __init__(self, path: Path) -> None:
        super().__init__(StagedFile(path), path)

    def write(self, lines: Iterable[str]) -> None:
        """Adds lines, with their ends."""
        with writing(self.name):
            for line in lines:
                self._file.write(line.encode("utf-8", "surrogateescape"))

    def _open(self) -> None:
        self._file = open_table_text(self._target.temporary)

    def _close(self) -> None:
        self._file.close()


def _merge_parquet(paths: Sequence[Path], output: Path) -> list[Part]:
    """Long tables or tables by allele."""
    parts, schemas = [], {}
    for path in paths:
        schemas[path] = _read_schema(path)
        metadata = _text_of(schemas[path].metadata or {})
        parts.append(Part.parse(path, [f"##{key}={value}" for key, value in metadata.items()]))
    parts = _in_order(parts)
    schema = schemas[parts[0].path]
    rows = ROW_GROUP_ROWS.get(tuple(schema.names))
    for part in parts:
        if rows is None or not schema.equals(schemas[part.path]):
            raise InputError(f"{part.path}\nhas other columns than the tables that vepscore writes")
    metadata = _text_of(schema.metadata)
    del metadata[SHARD_KEY]
    with _ParquetFile(output, schema, metadata) as writer:
        for group in _regroup(parts, rows):
            writer.write(group)
    return parts


def _text_of(metadata: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        key.decode("utf-8", "replace"): value.decode("utf-8", "replace") for key, value in metadata.items()
    }


def _read_schema(path: Path) -> pa.Schema:
    with _reading_parquet(path):
        return pq.read_schema(path)


@contextlib.contextmanager
def _reading_parquet(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{path}\ncannot be read as Parquet: {error}", hint="score this shard again"
        ) from error


def _regroup(parts: Sequence[Part], rows: int) -> Iterator[pa.Table]:
    """The rows of all parts, so many at a time."""
    waiting: list[pa.Table] = []
    for part in parts:
        with _reading_parquet(part.path), pq.ParquetFile(part.path) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                bounds = pc.min_max(group["record"]).as_py()
                for record in bounds.values():
                    if record not in part.records:
                        raise _foreign_row(part, record)
                waiting.append(group)
                while sum(map(len, waiting)) >= rows:
                    joined = pa.concat_tables(waiting, promote_options="permissive")
                    yield joined.slice(0, rows)
                    waiting = [joined.slice(rows)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting, promote_options="permissive")


class _ParquetFile(StagedWriter):
    """Row groups, each with dictionaries of its own in order of first appearance."""

    def __init__(self, path: Path, schema: pa.Schema, provenance: Mapping[str, str]) -> None:
        super().__init__(StagedFile(path), path)
        self._schema = schema
        self._provenance = provenance

    def write(self, group: pa.Table) -> None:
        """Adds one row group."""
        columns = [_first_seen_first(group[name].combine_chunks()) for name in self._schema.names]
        with writing(self.name):
            self._file.write_table(pa.table(columns, schema=self._file.schema), len(group))

    def _open(self) -> None:
        self._file = parquet.open_parquet(self._target.temporary, self._schema, self._provenance)

    def _close(self) -> None:
        self._file.close()


def _first_seen_first(column: pa.Array) -> pa.Array:
    if not pa.types.is_dictionary(column.type):
        return column
    return column.cast(column.type.value_type).dictionary_encode()
