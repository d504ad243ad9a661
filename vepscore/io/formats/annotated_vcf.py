"""The annotated VCF: the input's records with the scores of each allele in INFO."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vepscore.io.output_file import OutputFile, WriterContext
from vepscore.io.suffixes import VCF_SUFFIXES

if TYPE_CHECKING:
    from vepscore.io.parts import Part
    from vepscore.io.results import ResultWriter


class AnnotatedVcf(OutputFile):
    """The input's records with INFO fields added."""

    name = "vcf"
    description = ".vcf, .vcf.gz or .bcf for the annotated VCF"
    suffixes = VCF_SUFFIXES
    is_default = True
    has_shards = True

    def open(self, context: WriterContext) -> "ResultWriter":
        from vepscore.io.vcf import AnnotatedVcfWriter

        ranked = context.quantiles is not None
        return AnnotatedVcfWriter(self.path, context.header, overwrite=context.overwrite, ranked=ranked)

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether the header of a VCF declares our fields."""
        from vepscore.io.fields import STATUS
        from vepscore.io.records import open_records

        with open_records(path) as records:
            return STATUS.id in records.header.declared("INFO")

    @classmethod
    def merge(cls, paths: Sequence[Path], output: str) -> "list[Part]":
        from vepscore.io.merging import merge_vcf

        return merge_vcf(paths, output)
