"""Write the table by allele: one row for each ALT, as tab-separated text or Parquet."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from vepscore.io.atomic import writing
from vepscore.io.fields import MISSING, STATUS, format_float, value_fields
from vepscore.io.header import provenance_lines
from vepscore.io.long_table import open_parquet
from vepscore.io.results import AlleleResult, RecordResult, ResultWriter
from vepscore.io.streams import open_target, open_text_output, output_suffix
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

    Raises:
        UsageError: another suffix.
    """

    def __init__(self, path: str | Path, provenance: Mapping[str, str], *, ranked: bool = False) -> None:
        self._suffix = output_suffix(path, ALLELE_TABLE_SUFFIXES)
        super().__init__(open_target(path), path)
        self._provenance = provenance
        self._schema = RANKED_SCHEMA if ranked else SCHEMA
        self._fields = [field.id for field in value_fields(ranked=ranked)]
        self._no_values = (None,) * len(self._fields)

    def write(self, result: RecordResult) -> None:
        """Add a row for each ALT of a record.

        Raises:
            OutputError: the file cannot be written.
        """
        with writing(self.name):
            for alt_index, allele in enumerate(result.alleles):
                self._rows.add((*_place(result, alt_index, allele), *self._values(allele)))

    def _values(self, allele: AlleleResult) -> Sequence[Any]:
        if not allele.fields:
            return self._no_values
        return [_present(allele.fields.get(name)) for name in self._fields]

    def _open(self) -> None:
        if self._suffix == ".parquet":
            self._rows: _Rows = _ParquetRows(self._temporary, self._schema, self._provenance)
        else:
            self._rows = _TextRows(
                open_text_output(self._target, self._suffix), self._schema, self._provenance
            )

    def _close(self) -> None:
        self._rows.close()


class _Rows(Protocol):
    """A file that takes rows: values in the order of its schema, None where missing."""

    def add(self, row: tuple[Any, ...]) -> None: ...

    def close(self) -> None: ...


class _TextRows:
    def __init__(self, file: Any, schema: pa.Schema, provenance: Mapping[str, str]) -> None:
        self._file = file
        self._write([*provenance_lines(provenance), "\t".join(schema.names)])

    def add(self, row: tuple[Any, ...]) -> None:
        self._write(["\t".join(["" if value is None else _cell(value) for value in row])])

    def close(self) -> None:
        self._file.close()

    def _write(self, lines: list[str]) -> None:
        self._file.write("".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape"))


class _ParquetRows:
    def __init__(self, path: Path, schema: pa.Schema, provenance: Mapping[str, str]) -> None:
        self._file = open_parquet(path, schema, provenance)
        self._rows: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        self._rows.append(row)
        if len(self._rows) == ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._file.close()

    def _flush(self) -> None:
        schema, columns = self._file.schema, zip(*self._rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        self._rows = []
        self._file.write_table(pa.table(arrays, schema=schema), ROW_GROUP_ROWS)


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
