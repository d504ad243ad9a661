"""Test the status that the text of REF and ALT gives an allele, and the extent of an allele."""

import pytest

from vepscore.genome.alleles import Allele, Status, classify_text, more_severe


@pytest.mark.parametrize(
    ("ref", "alt", "status"),
    [
        ("A", "C", Status.OK),
        ("a", "g", Status.OK),
        ("CTAACC", "TTTACC", Status.OK),
        ("A", "ACGT", Status.OK),
        ("A", "<DEL>", Status.SYMBOLIC),
        ("A", "<NON_REF>", Status.SYMBOLIC),
        ("A", "ATG<INS:ME>", Status.SYMBOLIC),
        ("A", "*", Status.SYMBOLIC),
        ("A", ".", Status.SYMBOLIC),
        ("A", "", Status.SYMBOLIC),
        ("", "A", Status.SYMBOLIC),
        (".", "A", Status.SYMBOLIC),
        ("G", "G]17:198982]", Status.SYMBOLIC),
        ("G", "[17:198983[G", Status.SYMBOLIC),
        ("A", ".A", Status.SYMBOLIC),
        ("A", "A.", Status.SYMBOLIC),
        ("N", "<DEL>", Status.SYMBOLIC),
        ("N", "A", Status.NON_ACGT),
        ("A", "N", Status.NON_ACGT),
        ("R", "A", Status.NON_ACGT),
        ("A", "AY", Status.NON_ACGT),
        ("A", "-", Status.NON_ACGT),
        ("A", "É", Status.NON_ACGT),
    ],
)
def test_classify_text(ref: str, alt: str, status: Status) -> None:
    assert more_severe(classify_text(ref), classify_text(alt)) is status


@pytest.mark.parametrize(
    ("ref", "alt", "end0", "inserted_bp"),
    [("A", "C", 101, 0), ("A", "ACC", 101, 2), ("ACC", "A", 103, -2), ("TTA", "CG", 103, -1)],
)
def test_allele_extent(ref: str, alt: str, end0: int, inserted_bp: int) -> None:
    allele = Allele(chrom="chr1", pos0=100, ref=ref, alt=alt)
    assert (allele.end0, allele.inserted_bp) == (end0, inserted_bp)


def test_status_is_its_own_text() -> None:
    assert f"{Status.REF_MISMATCH}" == "REF_MISMATCH"
