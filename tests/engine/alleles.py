"""Alleles of every kind on the tiny genome."""

from collections.abc import Sequence

from tests.builders import make_records, sequences, vcf_row
from vepscore.engine.preparer import AllelePreparer
from vepscore.model.allele_plan import ReadyAllele

ROWS = {
    "SNV in two genes": vcf_row("chr1", 16_000, 1, "~"),
    "insertion": vcf_row("chr1", 16_000, 1, "~TGC"),
    "insertion at an exon's end": vcf_row("chr1", 15_799, 1, "~GGTAAGTACCCA"),
    "deletion": vcf_row("chr1", 17_100, 30, "~"),
    "deletion over three genes": vcf_row("chr1", 15_200, 400, "~"),
    "MNV": vcf_row("chr1", 17_050, 3, "~~~"),
    "shortening delins": vcf_row("chr1", 17_640, 5, "~~"),
    "lengthening delins": vcf_row("chr1", 17_640, 2, "~~GATTA"),
    "no gene": vcf_row("chr1", 9_000, 2, "~"),
    "past the contig's start": vcf_row("chr1", 450, 4, "~"),
    "first base": vcf_row("chr1", 0, 1, "~CA"),
    "past the contig's end": vcf_row("chr1", 29_600, 7, "~"),
    "past both ends": vcf_row("chr3", 3_050, 6, "~"),
}

# Alleles that change the length, of which two windows are predicted where indels have both anchors.
INDELS = {
    **{kind: row for kind, row in ROWS.items() if kind not in ("SNV in two genes", "MNV")},
    "longest that is joined": vcf_row("chr1", 16_030, 65, "~"),
    "shortest that is not": vcf_row("chr1", 16_030, 1, "~" + "GATTACAGG" * 7 + "TC"),
    "long insertion": vcf_row("chr1", 16_000, 1, "~" + "ACGTTGCA" * 40),
}

BASES = sequences()["chr1"]
UNCHANGED = [
    vcf_row("chr1", 16_000, 1, BASES[16_000]),
    vcf_row("chr1", 16_000, 1, BASES[16_000].lower()),
    vcf_row("chr1", 17_100, 30, BASES[17_100:17_130]),
]


def prepare(preparer: AllelePreparer, *rows: Sequence[str]) -> list[ReadyAllele]:
    """Return all alleles of the rows, none of which may be refused."""
    alleles = [allele for record in make_records(*rows) for allele in preparer.prepare(record)]
    ready = [allele for allele in alleles if isinstance(allele, ReadyAllele)]
    assert ready == alleles
    return ready
