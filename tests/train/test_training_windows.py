"""Positions, labels and mutations of training windows."""

import numpy as np
import pytest

from tests.train.toy import CHROM_BP, REGION_BP, REGION_START0
from vepscore.genome.windows import UNKNOWN
from vepscore.train.labels import NO_SITE
from vepscore.train.schedule import Sampling
from vepscore.train.training_data import TrainingData
from vepscore.train.training_windows import add_negative_sites, mutate, mutate_splice_sites

WIDTH_BP = 2048


def locate(data: TrainingData, codes: np.ndarray) -> tuple[str, int, bool]:
    """Return chromosome, start and strand of a window; the sequences of the toy genome are unique."""
    for reverse in (False, True):
        forward = 3 - codes[::-1] if reverse else codes
        known = forward[forward < 4].tobytes()
        for segment in data.segments:
            found = segment.codes.tobytes().find(known)
            if found >= 0:
                return segment.chrom, found, reverse
    raise AssertionError("the window is not in the genome")


@pytest.mark.parametrize("kind", ["sites", "regions", "anywhere"])
def test_windows_follow_the_sampling_and_exclude_held_out_chromosomes(data: TrainingData, kind: str) -> None:
    fractions = {"sites": 0.0, "regions": 0.0} | ({} if kind == "anywhere" else {kind: 1.0})
    batch = data.windows(["chr2"]).sample(np.random.default_rng(0), Sampling(**fractions), WIDTH_BP, 40)
    assert batch["codes"].shape == (40, WIDTH_BP)
    if kind == "sites":
        assert (batch["classes"] != NO_SITE).any(axis=1).all()
    if kind == "regions":
        assert batch["measured"].all()
    found = [locate(data, codes) for codes in batch["codes"] if (codes < 4).sum() > 100]
    assert {chrom for chrom, *_ in found} == {"chr1", "chr3"}
    assert {reverse for *_, reverse in found} == {False, True}
    if kind == "anywhere":
        starts = [start for _, start, _ in found]
        assert min(starts) < CHROM_BP // 4 and max(starts) > CHROM_BP // 2


def test_coverage_is_that_of_the_window(data: TrainingData) -> None:
    batch = data.windows([]).sample(np.random.default_rng(1), Sampling(sites=0.0, regions=1.0), WIDTH_BP, 8)
    for codes, coverage in zip(batch["codes"], batch["coverage"], strict=True):
        chrom, start0, reverse = locate(data, codes)
        first = (start0 - REGION_START0) // 32
        assert start0 >= REGION_START0 and start0 + WIDTH_BP <= REGION_START0 + REGION_BP
        index = [region.chrom for region in data.tracks.regions].index(chrom)
        expected = data.tracks.coverage[index, first : first + WIDTH_BP // 32]
        np.testing.assert_array_equal(coverage, expected[::-1][:, [1, 0, 2]] if reverse else expected)


def test_only_the_intronic_dinucleotide_of_sites_is_mutated() -> None:
    rng = np.random.default_rng(0)
    # A donor and an acceptor of the plus strand, the same of the minus strand, and one at each end.
    sites = {30: (0, 1), 60: (1, -1), 90: (2, -1), 120: (3, 1), 0: (1, -1), 159: (0, 1)}
    classes = np.full((400, 160), NO_SITE, np.int8)
    codes = rng.integers(0, 4, classes.shape, np.uint8)
    intron = np.zeros(160, bool)
    for position, (site_class, side) in sites.items():
        classes[:, position] = site_class
        intron[[at for at in (position + side, position + 2 * side) if 0 <= at < 160]] = True
    codes[:, 31] = UNKNOWN
    before = codes.copy()
    changed = mutate_splice_sites(rng, codes, classes, 1.0) != before
    assert (codes == before).all() and not changed[:, ~intron].any() and not changed[:, 31].any()
    np.testing.assert_allclose(changed[:, intron].mean(axis=0)[1:], 0.75, atol=0.08)
    part = mutate_splice_sites(rng, codes, classes, 0.2) != before
    assert part[:, 61:63].sum() == part[:, 28:30].sum() == 0
    np.testing.assert_allclose(part[:, 58:60].mean(), 0.2 * 0.75, atol=0.04)


def test_negative_sites_follow_the_sites_and_are_no_sites(data: TrainingData) -> None:
    windows = data.windows([])
    plain, batch = (
        windows.sample(
            np.random.default_rng(2), Sampling(sites=1.0, negative_sites=negative_sites), WIDTH_BP, 8
        )
        for negative_sites in (0, 5)
    )
    for sites, found, classes, valid in zip(
        plain["sites"], batch["sites"], batch["classes"], batch["valid"], strict=True
    ):
        for row, with_negative_sites in zip(sites, found, strict=True):
            real = (row >= 0).sum()
            assert (with_negative_sites[:real] == row[:real]).all()
            negative_sites = with_negative_sites[real : real + 5]
            assert len(set(negative_sites)) == len(negative_sites) == min(5, len(row) - real)
            assert (classes[negative_sites] == NO_SITE).all() and valid[negative_sites].all()
            assert (with_negative_sites[real + 5 :] == -1).all()
    assert (plain["sites"] >= 0).any()
    assert all((plain[name] == batch[name]).all() for name in plain if name != "sites")


def test_a_window_without_room_or_known_bases_gets_no_negative_sites() -> None:
    rng = np.random.default_rng(0)
    classes, valid = np.full(64, NO_SITE, np.int8), np.ones(64, bool)
    full = np.arange(16, dtype=np.int32).reshape(4, 4)
    assert (add_negative_sites(rng, full, classes, valid, 3) == full).all()
    empty = np.full((4, 4), -1, np.int32)
    assert (add_negative_sites(rng, empty, classes, ~valid, 3) == -1).all()
    assert ((add_negative_sites(rng, empty, classes, valid, 3) >= 0).sum(axis=1) == 3).all() and (
        empty == -1
    ).all()


def test_the_same_generator_gives_the_same_windows(data: TrainingData) -> None:
    first, second = (
        data.windows([]).sample(np.random.default_rng([3, 5]), Sampling(mutated=0.1), WIDTH_BP, 4)
        for _ in range(2)
    )
    assert first.keys() == second.keys()
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_mutation_redraws_a_fraction_of_the_known_bases() -> None:
    codes = np.random.default_rng(0).integers(0, 5, (4, 50_000)).astype(np.uint8)
    mutated = mutate(np.random.default_rng(1), codes, 0.2)
    assert mutated.dtype == np.uint8
    assert (mutated[codes == 4] == 4).all() and (mutated[codes < 4] < 4).all()
    assert np.mean(mutated[codes < 4] != codes[codes < 4]) == pytest.approx(0.15, abs=0.005)


def test_each_window_has_its_own_mutated_fraction(data: TrainingData) -> None:
    windows = data.windows([])
    given, mutated = (
        windows.sample(np.random.default_rng(2), Sampling(mutated=fraction), WIDTH_BP, 64)["codes"]
        for fraction in (0.0, 0.4)
    )
    changed = (given != mutated).mean(axis=1)  # three quarters of the redrawn bases
    assert changed.min() < 0.02 and 0.27 < changed.max() < 0.34
    assert changed.mean() == pytest.approx(0.15, abs=0.03)
