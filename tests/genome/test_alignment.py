"""Test that positions and bins of the alternate allele are aligned with those of the reference allele."""

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vepscore.genome.alignment import (
    SPAN_SIZES,
    AlignedPositions,
    align_bins,
    align_positions,
    align_to_both,
    choose_right_bins,
    choose_right_pairs,
)
from vepscore.genome.alleles import Allele
from vepscore.genome.windows import Window

WIDTH_BP = 10


def allele(pos0: int, ref: str, alt: str) -> Allele:
    return Allele(chrom="chr1", pos0=pos0, ref=ref, alt=alt)


def window(start0: int, width_bp: int = WIDTH_BP) -> Window:
    return Window(chrom="chr1", start0=start0, end0=start0 + width_bp)


def apply(index: AlignedPositions, signal: np.ndarray) -> np.ndarray:
    """Return the alternate's signal, float (S,), aligned by the index."""
    aligned = np.where(index.alternate >= 0, signal[index.alternate], 0.0)
    if index.anchor < len(aligned):
        aligned[index.anchor] = signal[index.span[index.span >= 0]].max()
    return aligned


# Window start, pos0, REF, ALT; the alternate's position for each of 0…9; the span folded into its first.
TRUTH = {
    "snv": (100, 104, "A", "C", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], []),
    "mnv": (100, 104, "AC", "GT", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], []),
    "insertion": (100, 104, "A", "ACC", [0, 1, 2, 3, 4, 7, 8, 9, -1, -1], [4, 5, 6]),
    "deletion": (100, 104, "ACC", "A", [0, 1, 2, 3, 4, -1, -1, 5, 6, 7], []),
    "shrinking delins": (100, 104, "TTA", "CG", [0, 1, 2, 3, 4, 5, -1, 6, 7, 8], []),
    "growing delins": (100, 104, "TT", "CGA", [0, 1, 2, 3, 4, 5, 7, 8, 9, -1], [5, 6]),
    "insertion, contig start": (-5, 0, "A", "ACC", [0, 1, 2, 3, 4, 5, 8, 9, -1, -1], [5, 6, 7]),
    "deletion, contig start": (-5, 0, "ACC", "A", [0, 1, 2, 3, 4, 5, -1, -1, 6, 7], []),
    "insertion, first position": (104, 104, "A", "AC", [0, 2, 3, 4, 5, 6, 7, 8, 9, -1], [0, 1]),
    "deletion, first position": (104, 104, "AC", "A", [0, -1, 1, 2, 3, 4, 5, 6, 7, 8], []),
    "insertion to the end": (100, 106, "A", "ACCC", [0, 1, 2, 3, 4, 5, 6, -1, -1, -1], [6, 7, 8, 9]),
    "deletion to the end": (100, 107, "ACC", "A", [0, 1, 2, 3, 4, 5, 6, 7, -1, -1], []),
    "deletion past the end": (100, 107, "ACACAC", "A", [0, 1, 2, 3, 4, 5, 6, 7, -1, -1], []),
    # The official code silences as many positions at the right end as were inserted, the anchor included.
    "insertion past the end": (100, 107, "A", "ACCCC", [0, 1, 2, 3, 4, 5, -1, -1, -1, -1], []),
    "insertion over the window": (100, 104, "A", "A" + "C" * 30, [-1] * 10, []),
}


@pytest.mark.parametrize(("start0", "pos0", "ref", "alt", "positions", "span"), TRUTH.values(), ids=TRUTH)
def test_truth_table(
    start0: int, pos0: int, ref: str, alt: str, positions: list[int], span: list[int]
) -> None:
    index = align_positions(np.arange(WIDTH_BP), allele(pos0, ref, alt), window(start0))
    assert index.alternate.tolist() == positions
    assert index.anchor == (span[0] if span else WIDTH_BP)
    assert index.span[index.span >= 0].tolist() == span
    assert len(index.span) == (32 if span else 1)
    assert (index.alternate.dtype, index.span.dtype) == (np.int32, np.int32)


def test_padding_and_subsets() -> None:
    index = align_positions(np.array([9, 5, 4, 1, -1, -1]), allele(104, "A", "AC"), window(100))
    assert index.alternate.tolist() == [-1, 6, 4, 1, -1, -1]
    assert index.anchor == 2
    assert index.span[:3].tolist() == [4, 5, -1]


def test_padding_has_no_signal_if_the_anchor_is_before_the_window() -> None:
    index = align_positions(np.array([0, -1]), allele(99, "A", "AC"), window(100))
    assert index.alternate.tolist() == [1, -1]
    assert index.anchor == 2


def test_insertion_whose_anchor_is_not_read_needs_no_span() -> None:
    index = align_positions(np.array([1, 7]), allele(104, "A", "AC"), window(100))
    assert (index.alternate.tolist(), index.anchor, index.span.tolist()) == ([1, 8], 2, [-1])


@pytest.mark.parametrize(("alt", "silent"), [("C", [10, 11]), ("AC", [9, 10, 11])])
def test_positions_past_the_window_have_no_signal(alt: str, silent: list[int]) -> None:
    positions = np.array([8, 9, 10, 11])
    index = align_positions(positions, allele(104, "A", alt), window(100))
    assert positions[index.alternate == -1].tolist() == silent


def test_no_positions() -> None:
    index = align_positions(np.array([], np.int32), allele(104, "A", "AC"), window(100))
    assert (len(index.alternate), index.anchor) == (0, 0)


@pytest.mark.parametrize(
    ("inserted_bp", "size"), [(1, 32), (31, 32), (32, 1024), (1023, 1024), (1024, 32_768), (262_143, 262_144)]
)
def test_span_is_padded_to_one_of_the_sizes(inserted_bp: int, size: int) -> None:
    inserted = allele(600_000, "A", "A" + "C" * inserted_bp)
    index = align_positions(np.array([100_000]), inserted, window(500_000, 1 << 20))
    assert len(index.span) == size
    assert size in SPAN_SIZES
    assert np.count_nonzero(index.span >= 0) == inserted_bp + 1


def test_insertion_too_long_for_every_size() -> None:
    inserted = allele(600_000, "A", "A" + "C" * 262_144)
    with pytest.raises(ValueError, match="262144 bp inserted; the largest span is 262144"):
        align_positions(np.array([100_000]), inserted, window(500_000, 1 << 20))


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 20), st.randoms(use_true_random=False))
def test_matches_cutting_and_pasting_the_sequence(
    offset: int, ref_bp: int, alt_bp: int, random: Random
) -> None:
    width_bp = 100
    signal = np.array([random.random() for _ in range(width_bp)])
    shared = offset + min(ref_bp, alt_bp)
    changed_bp = alt_bp - ref_bp
    if changed_bp > 0:
        folded = signal[shared - 1 : shared + changed_bp].max()
        tail = signal[shared + changed_bp :]
        expected = np.concatenate([signal[: shared - 1], [folded], tail, np.zeros(changed_bp)])
    else:
        expected = np.concatenate([signal[:shared], np.zeros(-changed_bp), signal[shared:]])[:width_bp]
    variant = allele(1000 + offset, "A" * ref_bp, "C" * alt_bp)
    aligned = apply(align_positions(np.arange(width_bp), variant, window(1000, width_bp)), signal)
    np.testing.assert_array_equal(aligned, expected)


BIN_BP = 4


def aligned_bins(ref: str, alt: str, pos0: int) -> np.ndarray:
    """Return the alternate's 8 bins of 4 bp, with values 1 to 8, aligned to the reference."""
    bins = np.arange(8)
    aligned_bins = align_bins(bins, BIN_BP, allele(pos0, ref, alt), window(100, 32))
    return aligned_bins.apply(np.arange(1.0, 9.0)[:, None], bins, rows=8)[:, 0]


@pytest.mark.parametrize(
    ("ref", "alt", "pos0", "expected"),
    [
        ("A", "G", 110, [1, 2, 3, 4, 5, 6, 7, 8]),
        # One base is inserted after 107, so what was at 108 to 110 is three quarters of the third bin still.
        ("A", "AC", 107, [1, 2, 3.25, 4.25, 5.25, 6.25, 7.25, 6]),
        ("A", "ACCCC", 107, [1, 2, 4, 5, 6, 7, 8, 0]),
        # The bases 108 to 111 are gone: nothing is there, and the next bin's signal is found one bin earlier.
        ("ACCCC", "A", 107, [1, 2, 0, 3, 4, 5, 6, 7]),
        ("ACC", "A", 107, [1, 2, 1.5, 3.5, 4.5, 5.5, 6.5, 7.5]),
    ],
)
def test_bins_of_the_alternate_are_weighted_by_their_bases(
    ref: str, alt: str, pos0: int, expected: list[float]
) -> None:
    np.testing.assert_allclose(aligned_bins(ref, alt, pos0), expected)


def test_contact_maps_are_aligned_along_both_axes() -> None:
    aligned_bins = align_bins(np.array([1, 2]), BIN_BP, allele(107, "A", "ACCCC"), window(100, 32))
    np.testing.assert_array_equal(aligned_bins.bins, [1, 3])
    contacts = np.arange(64.0).reshape(8, 8, 1)
    once = aligned_bins.apply(contacts, np.arange(8), rows=2)
    both = aligned_bins.apply(once.swapaxes(0, 1), np.arange(8), rows=2).swapaxes(0, 1)
    np.testing.assert_array_equal(both[..., 0], [[9, 11], [25, 27]])


L, R = range(8), range(8, 16)  # the bins of the two windows, as indices

# Resolution, window start, pos0, REF, ALT; where each of the window's bins is read; what the anchor is the maximum of.
BOTH_TRUTH = {
    "1 bp, insertion": (1, 100, 103, "A", "ACC", [*L[:4], *R[4:]], [3, 4, 5]),
    "1 bp, deletion": (1, 100, 103, "ACC", "A", [*L[:4], -1, -1, *R[6:]], []),
    "1 bp, shrinking delins": (1, 100, 103, "TTA", "CG", [*L[:5], -1, *R[6:]], []),
    "1 bp, growing delins": (1, 100, 103, "TT", "CGA", [*L[:5], *R[5:]], [4, 5]),
    "1 bp, insertion, contig start": (1, -3, 0, "A", "AC", [*L[:4], *R[4:]], [3, 4]),
    "1 bp, deletion, contig start": (1, -3, 0, "AC", "A", [*L[:4], -1, *R[5:]], []),
    "1 bp, insertion, contig end": (1, 992, 999, "A", "AC", L, []),
    "1 bp, deletion, contig end": (1, 992, 997, "ACC", "A", [*L[:6], -1, -1], []),
    "1 bp, insertion, first base": (1, 100, 100, "A", "AC", [0, *R[1:]], [0, 1]),
    "1 bp, deletion, first base": (1, 100, 100, "AC", "A", [0, -1, *R[2:]], []),
    "1 bp, insertion over the window": (1, 100, 106, "A", "ACCCC", [*L[:7], R[7]], [6, 7]),
    # Bin 3 has bases 384 to 511; an SNV in the middle of such a window is its last base.
    "128 bp, insertion, last base of a bin": (128, 0, 511, "A", "AC", [*L[:4], *R[4:]], []),
    "128 bp, insertion, middle of a bin": (128, 0, 447, "A", "AC", [*L[:4], *R[4:]], []),
    "128 bp, insertion, before the middle": (128, 0, 446, "A", "AC", [*L[:3], *R[3:]], []),
    "128 bp, insertion, first base of a bin": (128, 0, 384, "A", "AC", [*L[:3], *R[3:]], []),
    "128 bp, 64 bp inserted": (128, 0, 511, "A", "A" + "C" * 64, [*L[:4], *R[4:]], []),
    "128 bp, 65 bp inserted": (128, 0, 511, "A", "A" + "C" * 65, [*L[:4], *R[4:]], [3, 4]),
    "128 bp, 300 bp inserted": (128, 0, 400, "A", "A" + "C" * 300, [*L[:3], *R[3:]], [11, 3, 4]),
    "128 bp, 64 bp deleted": (128, 0, 447, "A" * 65, "A", [*L[:4], *R[4:]], []),
    "128 bp, 65 bp deleted": (128, 0, 446, "A" * 66, "A", [*L[:3], -1, *R[4:]], []),
    "128 bp, deletion, more to its right": (128, 0, 400, "A" * 41, "A", [*L[:3], *R[3:]], []),
    "128 bp, deletion, more to its left": (128, 0, 440, "A" * 41, "A", [*L[:4], *R[4:]], []),
    "128 bp, deletion over bins": (128, 0, 500, "A" * 301, "A", [*L[:4], -1, -1, *R[6:]], []),
    "128 bp, insertion, contig start": (128, -512, 0, "A", "AC", [*L[:4], *R[4:]], []),
    "128 bp, deletion, contig end": (128, 0, 1020, "ACCC", "A", L, []),
    "2048 bp, insertion, last base of a bin": (2048, 0, 8191, "A", "AC", [*L[:4], *R[4:]], []),
    "2048 bp, insertion, middle of a bin": (2048, 0, 7167, "A", "AC", [*L[:4], *R[4:]], []),
    "2048 bp, deletion, middle of a bin": (2048, 0, 7166, "ACC", "A", [*L[:4], *R[4:]], []),
    "2048 bp, deletion, before the middle": (2048, 0, 7165, "ACC", "A", [*L[:3], *R[3:]], []),
    "2048 bp, 1025 bp deleted": (2048, 0, 6200, "A" * 1026, "A", [*L[:3], -1, *R[4:]], []),
}


@pytest.mark.parametrize(
    ("resolution_bp", "start0", "pos0", "ref", "alt", "positions", "span"),
    BOTH_TRUTH.values(),
    ids=BOTH_TRUTH,
)
def test_truth_table_of_two_windows(
    resolution_bp: int, start0: int, pos0: int, ref: str, alt: str, positions: list[int], span: list[int]
) -> None:
    place = window(start0, 8 * resolution_bp)
    index = align_to_both(np.arange(8), resolution_bp, allele(pos0, ref, alt), place)
    assert index.alternate.tolist() == list(positions)
    assert index.span[index.span >= 0].tolist() == span
    assert index.anchor == (list(positions).index(span[0]) if span else 8)
    assert (index.alternate.dtype, index.span.dtype) == (np.int32, np.int32)


def test_padding_and_subsets_of_two_windows() -> None:
    index = align_to_both(np.array([7, 4, 3, 1, -1, -1]), 1, allele(103, "A", "AC"), window(100, 8))
    assert index.alternate.tolist() == [15, 12, 3, 1, -1, -1]
    assert index.anchor == 2
    assert index.span[:3].tolist() == [3, 4, -1]


@pytest.mark.parametrize(
    ("pos0", "ref", "alt", "first"),
    [
        (511, "A", "AC", 4),
        (447, "A", "AC", 4),
        (446, "A", "AC", 3),
        (440, "A" * 41, "A", 4),
        (400, "A" * 41, "A", 3),
        (500, "A" * 301, "A", 6),
        (1023, "A", "AC", 8),
    ],
)
def test_seam_is_at_the_first_bin_mostly_right_of_the_variant(
    pos0: int, ref: str, alt: str, first: int
) -> None:
    is_right = choose_right_bins(128, allele(pos0, ref, alt), window(0, 1024))
    assert is_right.tolist() == [number >= first for number in range(8)]


def test_each_pair_of_bins_is_read_where_the_farther_one_is_in_phase() -> None:
    is_right = choose_right_pairs(2, allele(105, "A", "AC"), window(100, 12))
    assert is_right.astype(int).tolist() == [
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 1],
        [0, 0, 0, 1, 1, 1],
        [0, 0, 1, 1, 1, 1],
        [0, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 1, 1],
    ]


@pytest.mark.parametrize(("pos0", "ref", "of_row"), [(105, "ACC", [0, 0, 0, 0, 1, 1]), (111, "A", [0] * 6)])
def test_contacts_of_the_variants_own_bin_are_read_from_each_columns_side(
    pos0: int, ref: str, of_row: list[int]
) -> None:
    """A bin with half of its bases deleted is read from the left-anchored window."""
    is_right = choose_right_pairs(2, allele(pos0, ref, "A" if len(ref) > 1 else "AC"), window(100, 12))
    assert is_right[(pos0 - 100) // 2].astype(int).tolist() == of_row
    assert (is_right == is_right.T).all()
