"""Test where windows lie, and the sequences of both alleles in them."""

import csv
import time

import numpy as np
import pytest

from tests.genome.contig import Contig
from tests.paths import need
from vepscore.errors import UsageError
from vepscore.genome.alleles import Allele
from vepscore.genome.windows import (
    Window,
    allele_sequences,
    encode_bases,
    n_fraction,
    parse_width,
    reverse_complement,
    right_anchored_sequence,
    window_around,
)

CONTIG = b"AACCGGTTACGTTGCA"


def allele(pos0: int, ref: str, alt: str = "T") -> Allele:
    return Allele(chrom="chr1", pos0=pos0, ref=ref, alt=alt)


def window(start0: int, end0: int) -> Window:
    return Window(chrom="chr1", start0=start0, end0=end0)


def decode(codes: np.ndarray) -> str:
    return "".join("ACGTN"[code] for code in codes)


@pytest.mark.parametrize(
    ("pos0", "ref_bp", "width_bp", "start0"),
    [
        (20, 1, 16, 13),
        (20, 2, 16, 13),
        (20, 3, 16, 14),
        (20, 4, 16, 14),
        (20, 5, 16, 15),
        (0, 1, 16, -7),
        (0, 3, 16, -6),
        (20, 16, 16, 20),
        (20, 17, 17, 20),
        (20, 1, 15, 13),
        (20, 18, 16, 21),
        (248_956_421, 1, 1 << 20, 248_432_134),
    ],
)
def test_window_is_centered_on_ref(pos0: int, ref_bp: int, width_bp: int, start0: int) -> None:
    assert window_around(allele(pos0, "A" * ref_bp), width_bp) == window(start0, start0 + width_bp)


def test_alt_does_not_move_the_window() -> None:
    assert window_around(allele(20, "A", "A" * 9), 16) == window_around(allele(20, "A", "C"), 16)


@pytest.mark.parametrize(
    ("pos0", "align_bp", "start0"),
    [(20, 8, 16), (18, 8, 8), (19, 8, 16), (20, 13, 13), (0, 128, 0), (0, 8, -8), (3, 8, 0)],
)
def test_aligned_window_starts_at_the_nearest_multiple(pos0: int, align_bp: int, start0: int) -> None:
    assert window_around(allele(pos0, "A"), 16, align_bp) == window(start0, start0 + 16)


def test_windows_of_the_official_scores() -> None:
    with need("parity/scores_seed0_16k_fp32_human.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert rows
    for row in rows:
        variant = allele(int(row["pos"]) - 1, row["ref"], row["alt"])
        assert window_around(variant, 16_384) == window(int(row["window_start"]), int(row["window_end"]))


@pytest.mark.parametrize(
    ("start0", "pos0", "ref", "alt", "with_ref", "with_alt"),
    [
        pytest.param(4, 7, "T", "G", "GGTTACGT", "GGTGACGT", id="snv"),
        pytest.param(4, 7, "T", "TCC", "GGTTACGT", "GGTTCCAC", id="insertion"),
        pytest.param(4, 7, "TAC", "T", "GGTTACGT", "GGTTGTTG", id="deletion"),
        pytest.param(4, 7, "TA", "GC", "GGTTACGT", "GGTGCCGT", id="mnv"),
        pytest.param(4, 6, "TTA", "CG", "GGTTACGT", "GGCGCGTT", id="shrinking delins"),
        pytest.param(4, 6, "TT", "CGA", "GGTTACGT", "GGCGAACG", id="growing delins"),
        pytest.param(4, 7, "G", "C", "GGTGACGT", "GGTCACGT", id="REF written over"),
        pytest.param(4, 7, "GG", "G", "GGTGGCGT", "GGTGCGTT", id="REF written over, deletion"),
        pytest.param(4, 7, "T", "TCCCCCCC", "GGTTACGT", "GGTTCCCC", id="insertion past the window"),
        pytest.param(4, 4, "G", "GA", "GGTTACGT", "GAGTTACG", id="first base"),
        pytest.param(4, 11, "T", "TA", "GGTTACGT", "GGTTACGT", id="last base"),
        pytest.param(4, 11, "TTG", "T", "GGTTACGT", "GGTTACGT", id="deletion past the window"),
        pytest.param(4, 2, "CCGGT", "A", "GGTTACGT", "TACGTTGC", id="deletion from before the window"),
        pytest.param(4, 2, "CCG", "AAT", "GGTTACGT", "TGTTACGT", id="mnv from before the window"),
        pytest.param(-3, 0, "A", "T", "NNNAACCG", "NNNTACCG", id="snv, contig start"),
        pytest.param(-3, 0, "A", "ATT", "NNNAACCG", "NNNATTAC", id="insertion, contig start"),
        pytest.param(-3, 0, "AAC", "A", "NNNAACCG", "NNNACGGT", id="deletion, contig start"),
        pytest.param(12, 15, "A", "C", "TGCANNNN", "TGCCNNNN", id="snv, contig end"),
        pytest.param(12, 15, "A", "AGG", "TGCANNNN", "TGCAGGNN", id="insertion, contig end"),
        pytest.param(12, 13, "GCA", "G", "TGCANNNN", "TGNNNNNN", id="deletion, contig end"),
        pytest.param(8, 13, "GCA", "G", "ACGTTGCA", "ACGTTGNN", id="deletion draws N in"),
    ],
)
def test_sequences(start0: int, pos0: int, ref: str, alt: str, with_ref: str, with_alt: str) -> None:
    codes = allele_sequences(Contig(CONTIG), window(start0, start0 + 8), allele(pos0, ref, alt))
    assert [decode(each) for each in codes] == [with_ref, with_alt]
    assert all(each.dtype == np.uint8 for each in codes)


@pytest.mark.parametrize(
    ("start0", "pos0", "ref", "alt", "with_alt"),
    [
        pytest.param(4, 7, "T", "TCC", "TTCCACGT", id="insertion"),
        pytest.param(4, 7, "TAC", "T", "CCGGTTGT", id="deletion"),
        pytest.param(4, 6, "TTA", "CG", "CGGCGCGT", id="shrinking delins"),
        pytest.param(4, 6, "TT", "CGA", "GCGAACGT", id="growing delins"),
        pytest.param(4, 7, "GG", "G", "CGGTGCGT", id="REF written over, deletion"),
        pytest.param(4, 7, "T", "TCCCCCCC", "CCCCACGT", id="insertion past the window"),
        pytest.param(4, 4, "G", "GA", "AGTTACGT", id="first base"),
        pytest.param(4, 11, "T", "TA", "GTTACGTA", id="last base"),
        pytest.param(-3, 0, "A", "ATT", "NATTACCG", id="insertion, contig start"),
        pytest.param(-3, 0, "AAC", "A", "NNNNNACG", id="deletion, contig start"),
        pytest.param(0, 1, "ACC", "A", "NNAAGGTT", id="deletion draws N in"),
        pytest.param(12, 15, "A", "AGG", "CAGGNNNN", id="insertion, contig end"),
        pytest.param(12, 13, "GCA", "G", "GTTGNNNN", id="deletion, contig end"),
    ],
)
def test_right_anchored_sequences(start0: int, pos0: int, ref: str, alt: str, with_alt: str) -> None:
    codes = right_anchored_sequence(Contig(CONTIG), window(start0, start0 + 8), allele(pos0, ref, alt))
    assert decode(codes) == with_alt
    assert codes.dtype == np.uint8


def test_right_anchored_window_must_overlap_the_allele() -> None:
    with pytest.raises(ValueError, match="outside of"):
        right_anchored_sequence(Contig(CONTIG), window(4, 12), allele(12, "TG", "T"))


def test_window_wider_than_the_contig() -> None:
    with_ref, with_alt = allele_sequences(Contig(b"ACGT"), window(-3, 7), allele(1, "CG", "C"))
    assert (decode(with_ref), decode(with_alt)) == ("NNNACGTNNN", "NNNACTNNNN")


@pytest.mark.parametrize("pos0", [3, 12])
def test_allele_outside_of_its_window_is_refused(pos0: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        allele_sequences(Contig(CONTIG), window(4, 12), allele(pos0, "A", "C"))


def test_sequences_of_a_full_window_take_milliseconds() -> None:
    contig = Contig(b"ACGTTGCA" * (1 << 18))
    variant = allele(1_000_000, "A", "ACGT")
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        allele_sequences(contig, window_around(variant, 1 << 20), variant)
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.05


def test_codes() -> None:
    assert encode_bases(b"ACGTacgtNnRU-").tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 4, 4, 4, 4]


def test_reverse_complement_complements_each_base() -> None:
    assert decode(reverse_complement(encode_bases(b"AACCCGTN"))) == "NACGGGTT"
    assert reverse_complement(encode_bases(b"ACGT")).dtype == np.uint8


def test_n_fraction() -> None:
    assert n_fraction(encode_bases(b"ACNN")) == 0.5
    assert n_fraction(encode_bases(b"")) == 0.0


@pytest.mark.parametrize(
    ("text", "width_bp"),
    [
        ("1Mb", 1 << 20),
        ("512kb", 1 << 19),
        ("256kb", 1 << 18),
        ("128kb", 1 << 17),
        ("64kb", 1 << 16),
        ("32kb", 1 << 15),
        ("16kb", 1 << 14),
        ("16KB", 1 << 14),
        ("16384", 16_384),
        ("18432", 18_432),
        ("1048576", 1 << 20),
    ],
)
def test_parse_width(text: str, width_bp: int) -> None:
    assert parse_width(text) == width_bp


@pytest.mark.parametrize(
    "text", ["", "2Mb", "256 kb", "0", "1050624", "-16384", "16384.0", "1e6", "²", "9" * 5000]
)
def test_parse_width_refuses(text: str) -> None:
    with pytest.raises(UsageError, match="at most 1048576"):
        parse_width(text)
