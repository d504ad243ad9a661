"""Write the table by allele: one row for each ALT, as tab-separated text or Parquet."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from vepscore.io.atomic import writing
from vepscore.io.fields import MISSING, STATUS, format_float, value_fields
from vepscore.io.header import provenance_lines
from vepscore.io.long_table import open_parquet, table_of
from vepscore.io.results import AlleleResult, RecordResult, ResultWriter
from vepscore.io.suffixes import ALLELE_TABLE_SUFFIXES

ROW_GROUP_ROWS = 50_000


def _schema(*, ranked: bool) -> pa.Schema:
    fields = value_fields(ranked=ranked)
    return pa.schema(
        {
            "record": pa.int64(),  # 0-based record in the input
            "alt_index": pa.int32(),  # 0-based ALT of the record
            "chrom": pa.string(),  # as the VCF names it
            "pos": pa.int64(),  # 1-based
            "id": pa.string(),
            "ref": pa.string(),
            "alt": pa.string(),
            STATUS.id: pa.string(),
            "reason": pa.string(),  # why the status is not OK
            "n_share": pa.float32(),  # fraction of the window that is N
            **{field.id: pa.float32() if field.type == "Float" else pa.string() for field in fields},
        }
    )


SCHEMA = _schema(ranked=False)
RANKED_SCHEMA = _schema(ranked=True)

# Characters that would end a cell, start a comment or open a quotation; and "%", which escapes them.
_UNSAFE = re.compile(r'[%#\x00-\x1f\x7f]|^"')


class AlleleTableWriter(ResultWriter):
    """Write `.tsv`, `.tsv.gz` or `.parquet` by the path's suffix. A record without ALT has no row.

    Text has `##key=value` lines, then the column names, then the rows; a missing value is an empty cell.

    Args:
        provenance: key → value, for the text's first lines or the Parquet file's metadata.
        ranked: the results have quantiles, which get columns.
    """

    def __init__(self, path: str | Path, provenance: Mapping[str, str], *, ranked: bool = False) -> None:
        super().__init__(path, ALLELE_TABLE_SUFFIXES)
        self._provenance = provenance
        self._schema = RANKED_SCHEMA if ranked else SCHEMA
        self._fields = [field.id for field in value_fields(ranked=ranked)]
        self._no_values = (None,) * len(self._fields)
        self._rows: list[tuple[Any, ...]] = []  # of the next row group of a Parquet file

    def write(self, result: RecordResult) -> None:
        """Add a row for each ALT of a record."""
        with writing(self.name):
            for alt_index, allele in enumerate(result.alleles):
                self._add((*_place(result, alt_index, allele), *self._values(allele)))

    def _values(self, allele: AlleleResult) -> Sequence[Any]:
        if not allele.fields:
            return self._no_values
        return [_present(allele.fields.get(name)) for name in self._fields]

    def _add(self, row: tuple[Any, ...]) -> None:
        if self._suffix != ".parquet":
            self._write_line("\t".join("" if value is None else _cell(value) for value in row))
            return
        self._rows.append(row)
        if len(self._rows) == ROW_GROUP_ROWS:
            self._flush()

    def _open(self) -> None:
        if self._suffix == ".parquet":
            self._file = open_parquet(self._temporary, self._schema, self._provenance)
            return
        super()._open()
        for line in (*provenance_lines(self._provenance), "\t".join(self._schema.names)):
            self._write_line(line)

    def _close(self) -> None:
        if self._rows:
            self._flush()
        super()._close()

    def _write_line(self, line: str) -> None:
        self._file.write(f"{line}\n".encode("utf-8", "surrogateescape"))

    def _flush(self) -> None:
        self._file.write_table(table_of(self._rows, self._schema), ROW_GROUP_ROWS)
        self._rows = []


def _place(result: RecordResult, alt_index: int, allele: AlleleResult) -> tuple[Any, ...]:
    """Return the columns before those of the value fields."""
    record = result.record
    identifier = None if record.id == MISSING else record.id
    return (
        record.index,
        alt_index,
        record.chrom,
        record.pos1,
        identifier,
        record.ref,
        allele.alt,
        allele.status.value,
        _present(allele.reason),
        _present(allele.n_fraction),
    )


def _present(value: float | str | None) -> float | str | None:
    """Return the value, or None for "" and NaN."""
    return None if value == "" or value != value else value


def _cell(value: float | int | str) -> str:
    if isinstance(value, str):
        return _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", value)
    return str(value) if isinstance(value, int) else format_float(value)
