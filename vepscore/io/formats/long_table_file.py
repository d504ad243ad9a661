"""The long table: one row per allele, scorer, gene, junction or site, and track."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vepscore.io.output_file import OutputFile, WriterContext

if TYPE_CHECKING:
    from vepscore.io.parts import Part
    from vepscore.io.results import ResultWriter


class LongTable(OutputFile):
    """Every score as a row of Parquet."""

    name = "long_table"
    description = ".parquet for the long table of all scores"
    suffixes = (".parquet",)
    needs_all_scores = True
    has_shards = True

    def open(self, context: WriterContext) -> "ResultWriter":
        from vepscore.io.long_table import LongTableWriter

        return LongTableWriter(self.path, context.tracks, context.metadata.to_header(), context.quantiles)

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a Parquet file has the columns of the long table."""
        from vepscore.io.merging import read_schema
        from vepscore.io.tidy import COLUMNS_OF_0_1, SCHEMA

        return tuple(read_schema(path).names) in (tuple(SCHEMA.names), COLUMNS_OF_0_1)

    @classmethod
    def merge(cls, paths: Sequence[Path], output: str) -> "list[Part]":
        from vepscore.io.long_table import ROW_GROUP_ROWS
        from vepscore.io.merging import merge_parquet

        return merge_parquet(paths, Path(output), ROW_GROUP_ROWS)
