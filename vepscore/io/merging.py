"""Join shards into what one run would have written, byte for byte.

A part is what `vepscore score --shard I/N` wrote; its header says which records of which input it has.
"""

import contextlib
import gzip
import itertools
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vepscore.errors import InputError
from vepscore.io.formats import formats
from vepscore.io.header import VcfHeader
from vepscore.io.lines import check_bgzip_end
from vepscore.io.long_table import ParquetWriter
from vepscore.io.long_table_reader import metadata_lines, reading_parquet
from vepscore.io.output_file import OutputFile
from vepscore.io.output_paths import check_output_paths
from vepscore.io.parts import Part, check_count, foreign_row, in_order
from vepscore.io.records import Record, open_records
from vepscore.io.spliceai import Counts, SpliceAiWriter, without_counts
from vepscore.io.staged_writer import TextWriter
from vepscore.io.streams import output_suffix
from vepscore.io.suffixes import TSV_SUFFIXES
from vepscore.io.vcf import VcfWriter
from vepscore.paths import utf8_path

_HINT = "score this shard again"
_RECORD = re.compile(r"\d{1,15}", re.ASCII)


def merge(paths: Sequence[Path], output: str) -> list[Part]:
    """Join shards, given in any order, into one file.

    Args:
        paths: all shards of one run, in one format.
        output: has a suffix of that format; "-" is standard output, for a VCF.

    Returns:
        The parts in their order.

    Raises:
        InputError: a part is missing, duplicate, truncated, no shard, or from a different run.
        UsageError: the output's suffix is not that of the parts, or the output is one of them.
        OutputError: it cannot be written.
    """
    kinds = [kind for kind in formats() if kind.has_shards]
    suffix = output_suffix(output, list(dict.fromkeys(suffix for kind in kinds for suffix in kind.suffixes)))
    check_output_paths([output], paths)
    possible = [kind for kind in kinds if suffix in kind.suffixes]
    return _find_format(paths, possible).merge(paths, output)


def _find_format(paths: Sequence[Path], kinds: Sequence[type[OutputFile]]) -> type[OutputFile]:
    """Return the first of the formats that recognizes the parts; raise InputError if there is none."""
    first = [kind for kind in kinds if kind.recognizes(paths[0])]
    for path in paths:
        if not any(kind.recognizes(path) for kind in first):
            expected = " or ".join(kind.name for kind in first or kinds)
            raise InputError(f"{path}\nis not in the format of the output, expected a shard in {expected}")
    return first[0]


def merge_vcf(paths: Sequence[Path], output: str) -> list[Part]:
    """Join annotated VCFs; see `merge`."""
    parts, header = _joined(map(_read_header, paths))
    with VcfWriter(output, header) as writer:
        for part in parts:
            _copy(part, len(part.records), lambda record: writer.write_line(record.line))
    return parts


def merge_spliceai(paths: Sequence[Path], output: str) -> list[Part]:
    """Join files of `vepscore.io.spliceai`; see `merge`."""
    headers = [_read_header(path) for path in paths]
    counts = {header.source: Counts.parse(header) for header in headers}
    parts, header = _joined(map(without_counts, headers))
    with SpliceAiWriter(output, header) as writer:
        for part in parts:
            stated = counts[str(part.path)]
            _copy(
                part, stated.lines, lambda record: writer.write_line(record.chrom, record.pos1, record.line)
            )
            writer.add(stated)
    return parts


def _read_header(path: Path) -> VcfHeader:
    """Return the header; raise InputError if uncompressed text ends within a line: nothing else marks its end."""
    with open_records(path) as records, path.open("rb") as file:
        is_text = file.read(2) == b"##"
        file.seek(-1, os.SEEK_END)
        if is_text and file.read(1) != b"\n":
            raise InputError(f"{path}\nis cut short: its last line has no end", hint=_HINT)
        return records.header


def _joined(headers: Iterable[VcfHeader]) -> tuple[list[Part], VcfHeader]:
    """Return the parts in their order, and the header that they have in common."""
    parts = in_order([Part.parse(Path(header.source), [*header.meta, header.columns]) for header in headers])
    *meta, columns = parts[0].header
    return parts, VcfHeader(meta=tuple(meta), columns=columns)


def _copy(part: Part, expected: int, write: Callable[[Record], None]) -> None:
    with open_records(part.path) as records:
        found = 0
        for record in records:
            write(record)
            found += 1
    check_count(part, found, expected)


def merge_text(paths: Sequence[Path], output: Path) -> list[Part]:
    """Join tables of text: `##` lines, a line of column names, and rows that begin with the record's number."""
    parts = []
    for path in paths:
        with _open_text(path) as file:
            head = list(itertools.takewhile(lambda line: line.startswith("##"), file))
            parts.append(Part.parse(path, [line.rstrip("\n") for line in head]))
    parts = in_order(parts)
    with TextWriter(output, TSV_SUFFIXES) as writer:
        for part in parts:
            with _open_text(part.path) as file:
                lines = (line for line in file if not line.startswith("##"))
                names = next(lines, "")
                if part is parts[0]:
                    writer.write([*(f"{line}\n" for line in part.header), names])
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
        raise InputError(f"{path}\ncannot be read: {error}", hint=_HINT) from error


def _rows_in(part: Part, rows: Iterable[str]) -> Iterator[str]:
    for row in rows:
        record = row.partition("\t")[0]
        if not _RECORD.fullmatch(record) or int(record) not in part.records or not row.endswith("\n"):
            raise foreign_row(part, record[:40])
        yield row


def merge_parquet(paths: Sequence[Path], output: Path, group_rows: int) -> list[Part]:
    """Join tables of Parquet with a column `record`, and so many rows in a group; see `merge`."""
    parts, schemas = [], {}
    for path in paths:
        schemas[path] = read_schema(path)
        parts.append(Part.parse(path, metadata_lines(schemas[path])))
    parts = in_order(parts)
    schema = schemas[parts[0].path]
    for part in parts:
        if not schema.equals(schemas[part.path]):
            raise InputError(f"{part.path}\nhas other columns than {parts[0].path}")
    metadata = dict(line.removeprefix("##").split("=", 1) for line in parts[0].header)
    with ParquetWriter(output, schema, metadata) as writer:
        for group in _regroup(parts, group_rows):
            columns = [_first_seen_first(group[name].combine_chunks()) for name in schema.names]
            writer.write_group(pa.table(columns, schema=schema))
    return parts


def read_schema(path: Path) -> pa.Schema:
    """Return the schema of a Parquet file.

    Raises:
        InputError: the file cannot be read as Parquet.
    """
    with reading_parquet(path, _HINT):
        return pq.read_schema(utf8_path(path))


def _regroup(parts: Sequence[Part], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of all parts, so many at a time."""
    waiting: list[pa.Table] = []
    for part in parts:
        with reading_parquet(part.path, _HINT), pq.ParquetFile(utf8_path(part.path)) as file:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                bounds = pc.min_max(group["record"]).as_py()
                for record in bounds.values():
                    if record not in part.records:
                        raise foreign_row(part, record)
                waiting.append(group)
                while sum(map(len, waiting)) >= rows:
                    joined = pa.concat_tables(waiting, promote_options="permissive")
                    yield joined.slice(0, rows)
                    waiting = [joined.slice(rows)]
    if sum(map(len, waiting)):
        yield pa.concat_tables(waiting, promote_options="permissive")


def _first_seen_first(column: pa.Array) -> pa.Array:
    """Return a column whose dictionary, if it has one, holds what is used, in order of first appearance."""
    if not pa.types.is_dictionary(column.type):
        return column
    return column.cast(column.type.value_type).dictionary_encode()
