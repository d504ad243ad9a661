"""Write BCF: check that the header declares all names, and convert VCF text with bcftools."""

from collections.abc import Iterable
from pathlib import Path

import pysam
import pysam.bcftools

from vepscore.errors import OutputError
from vepscore.io.header import VcfHeader
from vepscore.io.records import Record

_TEXT_HINT = "write .vcf.gz instead, or add the line to the input's header with `bcftools annotate -h`"


class DeclaredNames:
    """The names that a header declares. BCF stores the index of a declaration instead of the name."""

    def __init__(self, header: VcfHeader) -> None:
        self._source = header.source
        self._known = {kind: set(header.declared(kind)) for kind in ("contig", "INFO", "FILTER", "FORMAT")}
        self._known["FILTER"] |= {"PASS", "."}
        self._known["INFO"].add(".")
        self._known["FORMAT"].add(".")

    def check(self, record: Record) -> None:
        """Check that the header declares all names in the record.

        Raises:
            OutputError: the contig, a FILTER, an INFO key or a FORMAT key is not declared.
        """
        parts = record.line.split(b"\t", 9)
        self._check(record, "contig", [parts[0]])
        self._check(record, "FILTER", parts[6].split(b";"))
        self._check(record, "INFO", (pair.partition(b"=")[0] for pair in parts[7].split(b";") if pair))
        if len(parts) > 8:
            self._check(record, "FORMAT", parts[8].split(b":"))

    def _check(self, record: Record, kind: str, names: Iterable[bytes]) -> None:
        for name in names:
            text = name.decode("utf-8", "surrogateescape")
            if text not in self._known[kind]:
                raise OutputError(
                    f"{self._source} record {record.index}, {record.chrom}:{record.pos1} cannot be written as BCF\n"
                    f"found {kind} {text!r}, which the header does not declare",
                    hint=_TEXT_HINT,
                )


def convert_to_bcf(text: Path, bcf: Path) -> None:
    """Convert the VCF at `text` to BCF with bcftools: `pysam.VariantFile` adds INFO/END to symbolic alleles.

    Raises:
        OutputError: htslib refuses a record.
    """
    try:
        pysam.bcftools.view("--no-version", "-Ob", "-o", str(bcf), str(text), catch_stdout=False)
    except pysam.SamtoolsError as error:
        raise OutputError(
            f"the records cannot be written as BCF\n{error}", hint="write .vcf.gz instead"
        ) from error
