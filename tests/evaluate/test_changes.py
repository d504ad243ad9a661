"""What REF and ALT share is no part of the change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vepscore.evaluate.changes import Kind, change_of
from vepscore.genome.alleles import Allele

BASES = st.text("ACGT", min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("ref", "alt", "start0", "end0", "inserted"),
    [
        ("A", "C", 100, 101, "C"),
        ("CTT", "C", 101, 103, ""),
        ("C", "CGG", 101, 101, "GG"),
        ("ACG", "TCA", 100, 103, "TCA"),
        ("GAAA", "GAA", 101, 102, ""),  # the leftmost of the three
        ("GA", "GAA", 101, 101, "A"),
        ("CAT", "CGGT", 101, 102, "GG"),
        ("A", "A", 100, 100, ""),
    ],
)
def test_truth_table(ref: str, alt: str, start0: int, end0: int, inserted: str) -> None:
    change = change_of(Allele(chrom="chr1", pos0=100, ref=ref, alt=alt))
    assert (change.start0, change.end0, change.alt) == (start0, end0, inserted)


@pytest.mark.parametrize(
    ("ref", "alt", "kind"),
    [
        ("A", "C", Kind.SNV),
        ("GAT", "GCT", Kind.SNV),  # written with unchanged bases on both sides
        ("CTT", "C", Kind.INDEL),
        ("C", "CGG", Kind.INDEL),
        ("CAT", "CGGT", Kind.INDEL),  # one base replaced by two
        ("TAT", "TC", Kind.INDEL),
        ("AC", "GT", Kind.OTHER),
        ("ACG", "TCA", Kind.OTHER),
        ("A", "A", Kind.OTHER),
        ("AC", "AC", Kind.OTHER),
    ],
)
def test_kind_is_that_of_the_bases_that_change(ref: str, alt: str, kind: Kind) -> None:
    assert change_of(Allele(chrom="chr1", pos0=100, ref=ref, alt=alt)).kind is kind


@given(before=BASES, ref=BASES, alt=BASES, after=BASES)
def test_change_makes_the_alternate_and_is_as_short_as_can_be(
    before: str, ref: str, alt: str, after: str
) -> None:
    allele = Allele(chrom="chr1", pos0=len(before), ref=ref, alt=alt)
    change = change_of(allele)
    reference = before + ref + after
    assert reference[: change.start0] + change.alt + reference[change.end0 :] == before + alt + after
    assert allele.pos0 <= change.start0 <= change.end0 <= allele.end0
    replaced = reference[change.start0 : change.end0]
    if replaced and change.alt:
        assert replaced[0] != change.alt[0] and replaced[-1] != change.alt[-1]
    assert change.shift_bp == len(alt) - len(ref)
