"""Changed sequence: where changes lie, and that the alignment says which bases are the same."""

import dataclasses

import numpy as np
import pytest

from vepscore.genome.windows import UNKNOWN
from vepscore.train.splicing.changed_sequence import (
    ChangedSequence,
    DrawnChanges,
    SeenSites,
    apply_changes,
    draw_changes,
    draw_pieces,
    replace_bases,
)
from vepscore.train.splicing.splicing_recipe import LONGEST_INDEL_BP, Changes

WIDTH_BP = 6_000
FIRST, END = 200, 5_000
NOWHERE = SeenSites.of(np.zeros((END - FIRST, 2)), FIRST)


def random_codes(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4, WIDTH_BP, np.uint8)


def change(changes: Changes, seed: int = 0, seen: SeenSites = NOWHERE) -> tuple[np.ndarray, DrawnChanges]:
    codes = random_codes()
    return codes, draw_changes(np.random.default_rng(seed), changes, codes, seen, FIRST, END)


def drawn(position: int, kind: int, length: int, bases: str = "") -> DrawnChanges:
    row = np.zeros((1, LONGEST_INDEL_BP), np.uint8)
    row[0, : len(bases)] = ["ACGT".index(base) for base in bases]
    return DrawnChanges(np.array([position]), np.array([kind]), np.array([length]), row)


def text(codes: np.ndarray) -> str:
    return "".join("ACGTN"[code] for code in codes)


@pytest.mark.parametrize(
    ("changes", "bases", "source"),
    [
        (drawn(2, 0, 1, "T"), "ACTTAC", [0, 1, 2, 3, 4, 5]),
        (drawn(2, 1, 2, "TT"), "ACTTGT", [0, 1, -1, -1, 2, 3]),
        (drawn(2, 2, 3), "ACCGTA", [0, 1, 5, 6, 7, 8]),
    ],
)
def test_each_kind_of_change(changes: DrawnChanges, bases: str, source: list[int]) -> None:
    codes = np.array([0, 1, 2, 3] * 3, np.uint8)
    found = apply_changes(codes, changes, 6)
    assert text(found.codes) == bases and found.source.tolist() == source


def test_the_alignment_names_equal_bases_but_for_substitutions() -> None:
    codes, changes = change(Changes(count=40, insertions=0.4, deletions=0.3))
    found = apply_changes(codes, changes, WIDTH_BP - 500)
    aligned = found.source >= 0
    differs = codes[found.source[aligned]] != found.codes[aligned]
    substituted = changes.position[changes.kind == 0]
    np.testing.assert_array_equal(found.source[aligned][differs], np.sort(substituted))
    assert (np.diff(found.source[aligned]) > 0).all()
    assert np.count_nonzero(~aligned) == changes.length_bp[changes.kind == 1].sum()
    missing = np.setdiff1d(np.arange(found.source.max()), found.source)
    assert len(missing) == changes.length_bp[changes.kind == 2].sum()
    assert {0, 1, 2} == set(changes.kind.tolist())


def test_changes_are_apart_in_the_interval_and_of_the_lengths() -> None:
    changes = Changes(count=60, spacing_bp=50, insertions=0.5, deletions=0.5, mean_indel_bp=12)
    _, found = change(changes)
    places = np.sort(found.position)
    assert 20 < len(places) < 60 and np.diff(places).min() >= 50
    assert places[0] >= FIRST and places[-1] + LONGEST_INDEL_BP < END
    assert found.length_bp.min() >= 1 and found.length_bp.max() <= LONGEST_INDEL_BP
    assert len(set(found.length_bp.tolist())) > 5
    np.testing.assert_array_equal(found.position, change(changes)[1].position)
    assert set(found.position.tolist()) != set(change(changes, seed=1)[1].position.tolist())


def test_insertions_repeat_the_bases_before_them_half_of_the_time() -> None:
    repeats = []
    for seed in range(20):
        codes, found = change(Changes(count=30, insertions=1.0, deletions=0, mean_indel_bp=10), seed)
        for place, length, bases in zip(found.position, found.length_bp, found.bases, strict=True):
            if length > 5:
                repeats.append((codes[place - length : place] == bases[:length]).all())
    assert 0.4 < np.mean(repeats) < 0.6 and len(repeats) > 100


def test_places_are_those_that_matter() -> None:
    probabilities = np.zeros((END - FIRST, 2))
    acceptor, donor = 1_000, 1_200
    probabilities[acceptor, 1] = probabilities[donor, 0] = 0.9
    seen = SeenSites.of(probabilities, FIRST)
    assert seen.sites.tolist() == [1_200, 1_400] and seen.exons.tolist() == [[1_200, 1_401]]
    kinds = {
        "sites": lambda at: np.minimum(abs(at - 1_200), abs(at - 1_400)) <= 15,
        "branch_points": lambda at: (at >= 1_150) & (at <= 1_185),
        "exons": lambda at: (at >= 1_200) & (at <= 1_400),
    }
    none = Changes(sites=0, branch_points=0, exons=0)
    alone = {
        "sites": dataclasses.replace(none, sites=1),
        "branch_points": dataclasses.replace(none, branch_points=1),
        "exons": dataclasses.replace(none, exons=1),
    }
    for name, is_there in kinds.items():
        changes = alone[name]
        places = np.concatenate([change(changes, seed, seen)[1].position for seed in range(50)])
        assert is_there(places).all() and len(np.unique(places)) > 20, name
    anywhere = np.concatenate([change(none, seed, seen)[1].position for seed in range(50)])
    assert np.mean(kinds["sites"](anywhere)) < 0.1


def test_unknown_bases_are_not_changed() -> None:
    codes = np.full(WIDTH_BP, UNKNOWN, np.uint8)
    found = draw_changes(np.random.default_rng(0), Changes(), codes, NOWHERE, FIRST, END)
    assert len(found.position) == 0
    unchanged = apply_changes(codes, found, WIDTH_BP)
    assert isinstance(unchanged, ChangedSequence) and (unchanged.source == np.arange(WIDTH_BP)).all()


def test_too_few_bases_are_refused() -> None:
    with pytest.raises(ValueError, match="found 9 bases after the changes, expected at least 10"):
        apply_changes(np.zeros(12, np.uint8), drawn(2, 2, 3), 10)


def test_a_part_of_the_sequences_has_known_bases_replaced_at_rates_between_the_given_ones() -> None:
    rng, codes = np.random.default_rng(0), random_codes()
    codes[::7] = UNKNOWN
    changes = Changes(mutated=0.5, mutation_rates=(0.01, 0.1))
    found = np.array([replace_bases(rng, changes, codes) for _ in range(400)])
    assert found.dtype == np.uint8 and np.all(found[:, ::7] == UNKNOWN)
    known = np.arange(WIDTH_BP) % 7 > 0
    rates = (found != codes)[:, known].mean(axis=1)
    mutated = rates > 0
    assert mutated.mean() == pytest.approx(0.5, abs=0.1)
    assert 0.006 < rates[mutated].min() < 0.015 and 0.08 < rates.max() < 0.115
    assert np.median(rates[mutated]) == pytest.approx(np.sqrt(0.01 * 0.1), rel=0.25)
    others = found[:, known][(found != codes)[:, known]]
    assert np.bincount(others, minlength=4).min() > len(others) / 5  # every base, never N
    np.testing.assert_array_equal(replace_bases(rng, Changes(), codes), codes)


def test_a_part_of_the_sequences_has_pieces_of_another_window_of_the_given_mean_length() -> None:
    rng, changes = np.random.default_rng(0), Changes(joined=0.25, mean_piece_bp=200)
    found = np.array([draw_pieces(rng, changes, WIDTH_BP) for _ in range(400)])
    joined = found[found.any(axis=1)]
    assert len(joined) == pytest.approx(100, abs=25)
    boundaries = np.diff(joined.astype(int), axis=1) != 0
    assert boundaries.sum(axis=1).mean() == pytest.approx(WIDTH_BP / 200, rel=0.1)
    assert joined.mean() == pytest.approx(0.5, abs=0.05)
    assert not joined[:, 0].all()  # nor do they all begin with the other
    assert not any(draw_pieces(rng, Changes(), WIDTH_BP).any() for _ in range(50))
