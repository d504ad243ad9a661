"""The table by allele: one row for each alternate allele."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vepscore.io.output_file import OutputFile, WriterContext
from vepscore.io.suffixes import ALLELE_TABLE_SUFFIXES
from vepscore.options import DATA
from vepscore.options.option_spec import OptionSpec

if TYPE_CHECKING:
    from vepscore.io.parts import Part
    from vepscore.io.results import ResultWriter


class AlleleTable(OutputFile):
    """The INFO fields of each allele as a row of text or Parquet."""

    name = "table"
    suffixes = ALLELE_TABLE_SUFFIXES
    option = OptionSpec(
        flags=("--table",),
        help="Also write a table with one row per allele: .tsv, .tsv.gz or .parquet.",
        panel=DATA,
        affects_scores=False,
        metavar="FILE",
    )
    has_shards = True

    def open(self, context: WriterContext) -> "ResultWriter":
        from vepscore.io.allele_table import AlleleTableWriter

        ranked = context.quantiles is not None
        return AlleleTableWriter(self.path, context.metadata.to_header(), ranked=ranked)

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file is text, or Parquet with the columns of this table."""
        from vepscore.io.allele_table import RANKED_SCHEMA, SCHEMA
        from vepscore.io.merging import read_schema

        return path.suffix != ".parquet" or read_schema(path).names in (SCHEMA.names, RANKED_SCHEMA.names)

    @classmethod
    def merge(cls, paths: Sequence[Path], output: str) -> "list[Part]":
        from vepscore.io.allele_table import ROW_GROUP_ROWS
        from vepscore.io.merging import merge_parquet, merge_text

        if output.endswith(".parquet"):
            return merge_parquet(paths, Path(output), ROW_GROUP_ROWS)
        return merge_text(paths, Path(output))
