"""Changed sequence: substitutions, insertions and deletions where they matter for splicing, and the alignment.

Sequences are transcribed, 5′ to 3′; positions count from their first base. Axes: S bp, N changes, K sites.
"""

from typing import NamedTuple

import numpy as np

from vepscore.genome.windows import UNKNOWN
from vepscore.train.splicing.splicing_recipe import LONGEST_INDEL_BP, Changes

SEEN = 0.05  # probability from which a position is called a site that the teachers see

_NEAR_BP = 15
_BRANCH_BP = (15, 50)  # before an acceptor
_LONGEST_EXON_BP = 500
_SUBSTITUTION, _INSERTION, _DELETION = range(3)


class ChangedSequence(NamedTuple):
    """A sequence with changes."""

    codes: np.ndarray  # uint8 (S,)
    source: np.ndarray  # int64 (S,): the same base's position before the changes; -1 for inserted bases


class DrawnChanges(NamedTuple):
    """Changes of a sequence, in any order, that do not touch each other."""

    # int64 (N,): the replaced base, the first deleted one, or the one that inserted bases come before.
    position: np.ndarray
    kind: np.ndarray  # int64 (N,)
    length_bp: np.ndarray  # int64 (N,): bases replaced, inserted or deleted
    bases: np.ndarray  # uint8 (N, LONGEST_INDEL_BP): what replaces them, or is inserted


class SeenSites(NamedTuple):
    """What the teachers see in a sequence. Arrays int64, ascending."""

    sites: np.ndarray  # (K,)
    acceptors: np.ndarray  # (K,)
    exons: np.ndarray  # (K, 2): first base, and end (exclusive), of what lies between an acceptor and a donor

    @classmethod
    def of(cls, probabilities: np.ndarray, shift: int = 0) -> "SeenSites":
        """Return the sites by their probabilities (S, 2), of donors and acceptors, at positions from `shift` on."""
        donors, acceptors = (np.flatnonzero(column > SEEN) for column in probabilities.T)
        after = np.searchsorted(donors, acceptors)
        acceptors_before, after = acceptors[after < len(donors)], after[after < len(donors)]
        exons = np.stack([acceptors_before, donors[after] + 1], axis=1)
        exons = exons[exons[:, 1] - exons[:, 0] <= _LONGEST_EXON_BP]
        sites = np.union1d(donors, acceptors)
        return cls(sites + shift, acceptors + shift, exons + shift)


def draw_pieces(rng: np.random.Generator, changes: Changes, width_bp: int) -> np.ndarray:
    """Return which bases, bool (width_bp,), another window gives; in most calls none, see `Changes.joined`.

    The lengths of the pieces are exponentially distributed.
    """
    if rng.random() >= changes.joined:
        return np.zeros(width_bp, bool)
    begins = rng.random(width_bp) < 1 / changes.mean_piece_bp
    return np.cumsum(begins) % 2 == 1


def replace_bases(rng: np.random.Generator, changes: Changes, codes: np.ndarray) -> np.ndarray:
    """Return a sequence, uint8 (S,), in which a part of the known bases is replaced in a fraction of the calls."""
    if rng.random() >= changes.mutated:
        return codes
    rate = np.exp(rng.uniform(*np.log(changes.mutation_rates)))
    replaced = (rng.random(len(codes)) < rate) & (codes < UNKNOWN)
    return np.where(replaced, (codes + rng.integers(1, 4, len(codes), np.uint8)) % 4, codes)


def draw_changes(
    rng: np.random.Generator, changes: Changes, codes: np.ndarray, seen: SeenSites, first: int, end: int
) -> DrawnChanges:
    """Draw changes of [first, end) of a sequence, uint8 (S,); bases that are not known are not changed."""
    places = _draw_places(rng, changes, seen, first, end)
    inside = (places >= first) & (places < end - LONGEST_INDEL_BP)
    places = _spaced(places[inside], changes.spacing_bp)
    places = places[codes[places] < UNKNOWN]
    count = len(places)
    number = rng.random(count)
    kind = np.full(count, _SUBSTITUTION)
    kind[number < changes.insertions + changes.deletions] = _DELETION
    kind[number < changes.insertions] = _INSERTION
    length = np.minimum(rng.geometric(1 / changes.mean_indel_bp, count), LONGEST_INDEL_BP)
    length[kind == _SUBSTITUTION] = 1
    bases = _draw_bases(rng, codes, places, length)
    substituted = kind == _SUBSTITUTION
    others = (codes[places] + rng.integers(1, 4, count, np.uint8)) % 4
    bases[substituted, 0] = others[substituted]
    return DrawnChanges(places, kind, length, bases)


def apply_changes(codes: np.ndarray, changes: DrawnChanges, length: int) -> ChangedSequence:
    """Return the first `length` bases of a sequence, uint8 (S,), with its changes.

    Raises:
        ValueError: deletions leave fewer bases.
    """
    of_kind = [changes.kind == kind for kind in (_SUBSTITUTION, _INSERTION, _DELETION)]
    is_filled = np.arange(LONGEST_INDEL_BP) < changes.length_bp[:, None]
    changed, kept = codes.copy(), np.ones(len(codes), bool)
    changed[changes.position[of_kind[_SUBSTITUTION]]] = changes.bases[of_kind[_SUBSTITUTION], 0]
    deleted = changes.position[:, None] + np.arange(LONGEST_INDEL_BP)
    kept[deleted[is_filled & of_kind[_DELETION][:, None]]] = False
    inserted = of_kind[_INSERTION]
    at = np.repeat(changes.position[inserted], changes.length_bp[inserted])
    changed = np.insert(changed, at, changes.bases[inserted][is_filled[inserted]])
    source = np.insert(np.arange(len(codes)), at, -1)
    kept = np.insert(kept, at, True)
    if kept.sum() < length:
        raise ValueError(f"found {kept.sum()} bases after the changes, expected at least {length}")
    return ChangedSequence(changed[kept][:length], source[kept][:length])


def _draw_places(
    rng: np.random.Generator, changes: Changes, seen: SeenSites, first: int, end: int
) -> np.ndarray:
    """Draw positions, int64 (N,), in random order; some may lie outside of [first, end)."""
    count = changes.count
    places = rng.integers(first, end, count)
    near = rng.integers(-_NEAR_BP, _NEAR_BP + 1, count)
    before = rng.integers(_BRANCH_BP[0], _BRANCH_BP[1] + 1, count)
    inside, choice, kind = rng.random(count), rng.random(count), rng.random(count)
    ends = np.cumsum([changes.sites, changes.branch_points, changes.exons])
    for number, pool in enumerate((seen.sites, seen.acceptors, seen.exons)):
        chosen = (kind < ends[number]) & (kind >= (ends[number - 1] if number else 0))
        if not len(pool):
            continue
        drawn = pool[(choice * len(pool)).astype(int)]
        if number == 0:
            found = drawn + near
        elif number == 1:
            found = drawn - before
        else:
            found = drawn[:, 0] + (inside * (drawn[:, 1] - drawn[:, 0])).astype(int)
        places[chosen] = found[chosen]
    return places


def _spaced(places: np.ndarray, spacing_bp: int) -> np.ndarray:
    """Return the positions, without those that are too close to an earlier one in the list."""
    kept: list[int] = []
    for place in places.tolist():
        if all(abs(place - other) >= spacing_bp for other in kept):
            kept.append(place)
    return np.array(kept, int)


def _draw_bases(
    rng: np.random.Generator, codes: np.ndarray, places: np.ndarray, length: np.ndarray
) -> np.ndarray:
    """Return bases to insert, uint8 (N, LONGEST_INDEL_BP): the bases before the position, or random ones."""
    count = len(places)
    drawn = rng.integers(0, 4, (count, LONGEST_INDEL_BP), np.uint8)
    before = places[:, None] - length[:, None] + np.arange(LONGEST_INDEL_BP)
    repeated = codes[np.clip(before, 0, len(codes) - 1)]
    is_repeat = (rng.random(count) < 0.5)[:, None]
    return np.where(is_repeat & (repeated < UNKNOWN), repeated, drawn)
