"""Splice events in the form of SpliceAI's output."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vepscore.io.output_file import OutputFile, WriterContext
from vepscore.io.suffixes import SPLICEAI_SUFFIXES
from vepscore.options import DATA
from vepscore.options.option_spec import OptionSpec

if TYPE_CHECKING:
    from vepscore.io.parts import Part
    from vepscore.io.results import ResultWriter


class SpliceAiFile(OutputFile):
    """Splice events as VEP's plug-in for SpliceAI reads them."""

    name = "spliceai"
    suffixes = SPLICEAI_SUFFIXES
    option = OptionSpec(
        flags=("--spliceai",),
        help="Also write splice events in the format that VEP's SpliceAI plug-in reads: .vcf.gz (as it requires) "
        "or .vcf.",
        panel=DATA,
        affects_scores=False,
        metavar="FILE",
    )
    needs_scorers = ("SPLICE_EVENTS",)
    has_shards = True

    def open(self, context: WriterContext) -> "ResultWriter":
        from vepscore.io.spliceai import SpliceAiWriter, spliceai_header

        return SpliceAiWriter(self.path, spliceai_header(context.header, context.metadata))

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether the header of a VCF is that of such a file."""
        from vepscore.io.records import open_records
        from vepscore.io.spliceai import is_spliceai

        with open_records(path) as records:
            return is_spliceai(records.header)

    @classmethod
    def merge(cls, paths: Sequence[Path], output: str) -> "list[Part]":
        from vepscore.io.merging import merge_spliceai

        return merge_spliceai(paths, output)
