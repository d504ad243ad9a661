"""The long table as a Parquet file. Every row group but the last has ROW_GROUP_ROWS rows and its own dictionaries."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vepscore.io.atomic import writing
from vepscore.io.quantiles import Quantiles
from vepscore.io.results import RecordResult, ResultWriter
from vepscore.io.staged_writer import StagedWriter
from vepscore.io.tidy import SCHEMA, Segment, TidyRows
from vepscore.outputs import Output, Tracks

ROW_GROUP_ROWS = 1_000_000


def open_parquet(path: Path, schema: pa.Schema, provenance: Mapping[str, str]) -> pq.ParquetWriter:
    """Open a Parquet file compressed with zstd, `provenance` in its metadata, dictionaries for all but scores."""
    floats = {field.name for field in schema if pa.types.is_floating(field.type)}
    return pq.ParquetWriter(
        path,
        schema.with_metadata({key: value.encode("utf-8", "replace") for key, value in provenance.items()}),
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in floats],
    )


def table_of(rows: Sequence[tuple[Any, ...]], schema: pa.Schema) -> pa.Table:
    """Return rows, with their values in the order of the schema, as a table."""
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    arrays = [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


class ParquetWriter(StagedWriter):
    """Write a table in row groups; `provenance` is the file's key-value metadata."""

    def __init__(self, path: str | Path, schema: pa.Schema, provenance: Mapping[str, str]) -> None:
        super().__init__(path, (".parquet",))
        self._schema = schema
        self._provenance = provenance

    def write_group(self, table: pa.Table) -> None:
        """Write the rows of a table as one row group."""
        with writing(self.name):
            self._file.write_table(table, len(table))

    def _open(self) -> None:
        self._file = open_parquet(self._temporary, self._schema, self._provenance)


class LongTableWriter(ParquetWriter, ResultWriter):
    """Write the long table; see `TidyRows`.

    Args:
        tracks: the tracks that the columns of each output's scores are about.
        provenance: the file's key-value metadata.
        quantiles: of the background that the scores are ranked in; None leaves the column null.
    """

    def __init__(
        self,
        path: str | Path,
        tracks: Mapping[Output, Tracks],
        provenance: Mapping[str, str],
        quantiles: Quantiles | None = None,
    ) -> None:
        super().__init__(path, SCHEMA, provenance)
        self._rows = TidyRows(tracks, quantiles)
        self._segments: list[Segment] = []
        self._buffered = 0

    def write(self, result: RecordResult) -> None:
        """Add the scores of all ALTs of a record.

        Raises:
            PluginError: a block's shape is not that of its genes and tracks.
            CheckpointError: the quantiles are of other tracks.
            OutputError: the file cannot be written.
        """
        for segment in self._rows.segments(result):
            self._add(segment)

    def _add(self, segment: Segment) -> None:
        while (room := ROW_GROUP_ROWS - self._buffered) <= len(segment):
            self._segments.append(segment.cut(0, room))
            self._flush()
            segment = segment.cut(room, len(segment))
        if len(segment):
            self._segments.append(segment)
            self._buffered += len(segment)

    def _flush(self) -> None:
        self.write_group(self._rows.table(self._segments))
        self._segments, self._buffered = [], 0

    def _close(self) -> None:
        if self._segments:
            self._flush()
        super()._close()
