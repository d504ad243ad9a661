"""Alleles are normalized like `bcftools norm`."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.genome.contig import Contig
from vepscore.genome.alleles import Allele
from vepscore.genome.normalization import normalize

#            0123456789012345678901
SEQUENCE = b"TACACACGGGTNAAAACGTCGT"
RANDOM_RECORDS = 3_000


def write(contig: bytes, pos0: int, ref: str, alt: str) -> tuple[int, str, str]:
    """Return position, REF and ALT after normalization."""
    found = normalize(Allele(chrom="chr1", pos0=pos0, ref=ref, alt=alt), Contig(contig))
    return found.pos0, found.ref, found.alt


def haplotype(contig: bytes, pos0: int, ref: str, alt: str) -> bytes:
    return contig[:pos0] + alt.encode() + contig[pos0 + len(ref) :]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        pytest.param((7, "G", "A"), (7, "G", "A"), id="snv"),
        pytest.param((6, "CGG", "CAG"), (7, "G", "A"), id="snv with a base on each side"),
        pytest.param((7, "GG", "AC"), (7, "GG", "AC"), id="mnv"),
        pytest.param((9, "GT", "G"), (9, "GT", "G"), id="deletion that cannot move"),
        pytest.param((8, "GGT", "GG"), (9, "GT", "G"), id="the same with a base more"),
        pytest.param((8, "GG", "G"), (6, "CG", "C"), id="deletion in a run of one base"),
        pytest.param((3, "ACA", "A"), (0, "TAC", "T"), id="deletion in a repeat of two"),
        pytest.param((4, "CAC", "C"), (0, "TAC", "T"), id="the same, a base further on"),
        pytest.param((6, "C", "CAC"), (0, "T", "TAC"), id="insertion in a repeat of two"),
        pytest.param((6, "CGGG", "CAGG"), (7, "G", "A"), id="snv with two bases more"),
        pytest.param((6, "CGG", "CA"), (7, "GG", "A"), id="delins"),
        pytest.param((15, "AC", "C"), (12, "AA", "A"), id="deletion after N: the next base stands beside it"),
        pytest.param((14, "A", "AA"), (12, "A", "AA"), id="insertion after N"),
        pytest.param((7, "T", "A"), (7, "T", "A"), id="REF is not the reference's"),
        pytest.param((7, "TG", "T"), (7, "TG", "T"), id="deletion whose REF is not the reference's"),
        pytest.param((7, "GG", "GG"), (7, "GG", "GG"), id="no change"),
        pytest.param((0, "TA", "A"), (0, "TA", "A"), id="deletion at the contig's start"),
        pytest.param((0, "T", "GT"), (0, "T", "GT"), id="insertion at the contig's start"),
        pytest.param(
            (0, "TACAC", "TAC"), (0, "TAC", "T"), id="deletion that moves towards the contig's start"
        ),
    ],
)
def test_table(written: tuple[int, str, str], normal: tuple[int, str, str]) -> None:
    assert write(SEQUENCE, *written) == normal


class Unreadable:
    """A reference whose bases must not be read."""

    def fetch(self, chrom: str, start0: int, end0: int) -> bytes:
        raise AssertionError(f"{chrom}:{start0}-{end0} was read")


def test_snv_does_not_read_the_reference() -> None:
    allele = Allele(chrom="chr1", pos0=7, ref="A", alt="C")
    assert normalize(allele, Unreadable()) is allele


def test_shifts_to_the_start_of_the_contig() -> None:
    assert write(b"ACACACGT", 3, "CAC", "C") == (0, "ACA", "A")
    assert write(b"ACACACGT", 5, "C", "CAC") == (0, "A", "ACA")


def test_shifts_through_a_long_repeat() -> None:
    contig = b"G" + b"CAT" * 5_000 + b"G"
    assert write(contig, len(contig) - 4, "CATG", "G") == (0, "GCAT", "G")


@st.composite
def alleles(draw: st.DrawFn) -> tuple[bytes, int, str, str]:
    """A contig of few letters, which has many repeats, and any REF and ALT in it."""
    contig = draw(st.text("ACN", min_size=2, max_size=24).filter(lambda text: set(text) & set("AC")))
    pos0 = draw(st.sampled_from([i for i, base in enumerate(contig) if base != "N"]))
    room = len((contig[pos0:] + "N").partition("N")[0])
    ref = contig[pos0 : pos0 + draw(st.integers(1, room))]
    return contig.encode(), pos0, ref, draw(st.text("AC", min_size=1, max_size=6))


@given(alleles())
def test_changes_the_same_bases(case: tuple[bytes, int, str, str]) -> None:
    contig, *written = case
    pos0, ref, alt = write(contig, *written)
    assert ref and alt and contig[pos0 : pos0 + len(ref)].decode() == ref
    assert haplotype(contig, pos0, ref, alt) == haplotype(contig, *written)
    assert write(contig, pos0, ref, alt) == (pos0, ref, alt)


@given(alleles(), st.data())
def test_result_does_not_depend_on_the_written_form(
    case: tuple[bytes, int, str, str], data: st.DataObject
) -> None:
    """Extend REF and ALT by the same bases of the contig on both sides."""
    contig, pos0, ref, alt = case
    left = data.draw(st.integers(0, len(contig[:pos0].rpartition(b"N")[2])))
    right = data.draw(st.integers(0, len((contig[pos0 + len(ref) :] + b"N").partition(b"N")[0])))
    before, after = (
        contig[pos0 - left : pos0].decode(),
        contig[pos0 + len(ref) : pos0 + len(ref) + right].decode(),
    )
    if ref != alt:
        assert write(contig, pos0 - left, before + ref + after, before + alt + after) == write(
            contig, pos0, ref, alt
        )


def test_equals_bcftools_norm(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    contig = "".join(rng.choice(list("ACGT"), 200, p=[0.4, 0.4, 0.1, 0.1]))
    written = {draw_record(rng, contig) for _ in range(RANDOM_RECORDS)}
    rows = sorted((pos0, ref, alt) for pos0, ref, alt in written if ref != alt)
    reference, source = tmp_path / "genome.fa", tmp_path / "in.vcf"
    reference.write_text(f">chr1\n{contig}\n")
    header = f"##fileformat=VCFv4.2\n##contig=<ID=chr1,length={len(contig)}>\n"
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    lines = [f"chr1\t{pos0 + 1}\t{i}\t{ref}\t{alt}\t.\t.\t.\n" for i, (pos0, ref, alt) in enumerate(rows)]
    source.write_text(header + columns + "".join(lines))
    command = ["bcftools", "norm", "-f", str(reference), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cells = [line.split("\t") for line in done.stdout.splitlines() if not line.startswith("#")]
    theirs = {int(name): (int(pos1) - 1, ref, alt) for _, pos1, name, ref, alt, *_ in cells}
    ours = {i: write(contig.encode(), *row) for i, row in enumerate(rows)}
    assert len(rows) > RANDOM_RECORDS // 2
    assert sum(ours[i] != row for i, row in enumerate(rows)) > len(rows) // 10
    assert ours == theirs


def draw_record(rng: np.random.Generator, contig: str) -> tuple[int, str, str]:
    """Bases of the contig, and the same with some deleted or duplicated; past the contig's ends too."""
    pos0 = int(rng.integers(20, len(contig) - 20))
    ref = contig[pos0 : pos0 + int(rng.integers(1, 9))]
    cut, again = sorted(rng.integers(0, len(ref) + 1, 2))
    alt = ref[:cut] + ref[again:] if rng.random() < 0.5 else ref[:again] + ref[cut:]
    return pos0, ref, alt or ref
