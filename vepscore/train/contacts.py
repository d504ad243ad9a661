"""Training data of contact maps: maps drawn from Hi-C loops and contact domains that others have called.

The maps are drawings, not measurements. A measured map would be log(observed / expected), where expected is the
mean contact at that distance; the loops and domains were found in such maps, and what is drawn is what they
stand for there: a domain is a square of enrichment, its ends insulate it from its neighbours, a loop is a peak
where its anchors meet, and the rest is 0, which is "as expected". How strong each is, is set here and is the
same for all: the lists do not say it. Nothing can be learnt from these maps about how strong a contact is, nor
about contacts that were not called.

Coordinates are 0-based and half-open. Axes: B windows of the batch, S bp, W bins of 2,048 bp in a window,
D domains, L loops.
Source: Rao et al., Cell 159:1665 (2014), GM12878, hg19; AlphaGenome's maps are log(observed / expected) as
in Orca (Zhou, Nature Genetics 54:725, 2022) and Akita (Fudenberg et al., Nature Methods 17:1111, 2020).
"""

import dataclasses
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from liftover import ChainFile

from vepscore.genome.windows import UNKNOWN
from vepscore.outputs import Output, Tracks
from vepscore.train.data import Piece, Split, WindowOrigin, reverse_complement, split_of

BIN_BP = Output.CONTACT_MAPS.resolution_bp
# Natural logarithms of observed over expected.
DOMAIN = 0.5
INSULATED = -0.25
LOOP = 1.0
LONGEST_STRETCH = 0.1  # by which a lifted interval may be longer or shorter, as a share of its length

Interval = tuple[str, int, int]  # chromosome, start, end


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContactBatch:
    """Windows with their contact maps, stacked; every shape depends on B and S alone."""

    codes: np.ndarray  # uint8 (B, S)
    targets: np.ndarray  # float32 (B, W, W, 1): drawn log(observed / expected), in the space of the head
    measured: np.ndarray  # bool (B, W, W): pairs of bins that both hold known sequence only
    origins: tuple[WindowOrigin, ...]  # (B,)


class ContactData:
    """Windows of the genome and their contact maps.

    Args:
        pieces: the sequence (hg38), of any split.
        loops: BEDPE in hg19; columns 1 to 6 are the two anchors.
        domains: BEDPE in hg19; columns 1 to 3 are the domain.
        chain: UCSC chain from hg19 to hg38, plain or gzipped.
        split: what `sample_contacts` draws from.
    """

    def __init__(
        self, pieces: Sequence[Piece], loops: Path, domains: Path, chain: Path, split: Split
    ) -> None:
        self.pieces = list(pieces)
        self.split = split
        lift = Lift(chain)
        self.domains, domains_lost = _lift_domains(domains, lift)
        self.loops, loops_lost = _lift_loops(loops, lift)
        self.unlifted = domains_lost + loops_lost  # domains and loops that have no place in hg38: not drawn

    def sample_contacts(self, rng: np.random.Generator, batch: int, width_bp: int) -> ContactBatch:
        """Windows of the split, each reverse-complemented with probability one half.

        They come from pieces that fill at least half of a window, uniformly over their bases. A window wider
        than its piece holds it at a random place; a narrower one lies in it.

        Raises:
            ValueError: no piece of the split is long enough.
        """
        pieces = self._long_pieces(self.split, width_bp)
        lengths = np.array([len(piece.codes) for piece in pieces])
        windows = []
        for index in rng.choice(len(pieces), batch, p=lengths / lengths.sum()):
            slack = int(lengths[index]) - width_bp
            shift = int(rng.integers(min(slack, 0), max(slack, 0) + 1))
            start0, reverse = pieces[index].start0 + shift, bool(rng.random() < 0.5)
            windows.append(self._window(pieces[index], start0, width_bp, reverse))
        return _stack(windows)

    def region_batches(self, split: Split, width_bp: int, batch: int = 1) -> Iterator[ContactBatch]:
        """Windows side by side over the pieces of a split; the last batch may be smaller.

        Stretches that fill less than half of a window are left out.

        Raises:
            ValueError: no piece of the split is long enough.
        """
        places = [
            (piece, start0)
            for piece in self._long_pieces(split, width_bp)
            for start0 in range(piece.start0, piece.end0 - width_bp // 2 + 1, width_bp)
        ]
        for first in range(0, len(places), batch):
            yield _stack([self._window(*place, width_bp) for place in places[first : first + batch]])

    def _long_pieces(self, split: Split, width_bp: int) -> list[Piece]:
        long = [p for p in self.pieces if split_of(p.chrom) is split and 2 * len(p.codes) >= width_bp]
        if not long:
            raise ValueError(f"no piece of the {split} split fills half of a window of {width_bp:,} bp")
        return long

    def _window(self, piece: Piece, start0: int, width_bp: int, reverse: bool = False) -> ContactBatch:
        codes = piece.window(start0, width_bp)
        target = draw_map(
            start0,
            width_bp // BIN_BP,
            self.domains.get(piece.chrom, np.empty((0, 2), np.int64)),
            self.loops.get(piece.chrom, np.empty((0, 4), np.int64)),
        )
        known = (codes.reshape(-1, BIN_BP) != UNKNOWN).all(axis=1)
        measured = known[:, None] & known
        target = target * measured[..., None]
        if reverse:
            codes, target, measured = reverse_complement(codes), target[::-1, ::-1], measured[::-1, ::-1]
        origin = WindowOrigin(chrom=piece.chrom, start0=start0, reverse=reverse)
        return ContactBatch(
            codes=codes[None], targets=target[None], measured=measured[None], origins=(origin,)
        )


class Lift:
    """Intervals of one assembly in another.

    Args:
        chain: UCSC chain file, plain or gzipped.
    """

    def __init__(self, chain: Path) -> None:
        self._chain = ChainFile(str(chain), one_based=False)

    def interval(self, chrom: str, start0: int, end0: int) -> Interval | None:
        """Where an interval lies in the other assembly.

        None where its first or last base has no place there or several, where these lie on two chromosomes or
        strands, and where the length changes by more than LONGEST_STRETCH.
        """
        if chrom not in self._chain:
            return None
        first, last = (self._chain.query(chrom, position) for position in (start0, end0 - 1))
        if len(first) != 1 or len(last) != 1 or first[0][::2] != last[0][::2]:
            return None
        low, high = sorted((first[0][1], last[0][1]))
        length = end0 - start0
        if abs(high + 1 - low - length) > LONGEST_STRETCH * length:
            return None
        return first[0][0], low, high + 1


def draw_map(start0: int, bins: int, domains: np.ndarray, loops: np.ndarray) -> np.ndarray:
    """The contact map of a window, drawn; natural logarithm of observed over expected.

    A pair of bins is DOMAIN where one domain holds the centres of both; else INSULATED where a domain's end
    lies between them, both within that domain's width of it; else 0. Each loop adds a Gaussian peak of height
    LOOP at the centres of its anchors, with half of each anchor's width as its standard deviation; where peaks
    overlap, the higher counts.

    Args:
        start0: of the window.
        bins: W.
        domains: int64 (D, 2): start and end on the window's chromosome.
        loops: int64 (L, 4): start and end of one anchor, then of the other.

    Returns:
        float32 (W, W, 1), symmetric.
    """
    centers = start0 + (np.arange(bins) + 0.5) * BIN_BP
    end0 = start0 + bins * BIN_BP
    inside = np.zeros((bins, bins), bool)
    insulated = np.zeros((bins, bins), bool)
    widths = domains[:, 1] - domains[:, 0]
    for start, end in domains[(domains[:, 0] - widths < end0) & (domains[:, 1] + widths > start0)]:
        domain = _holds(start, end, centers)
        inside |= domain[:, None] & domain
        for boundary in (start, end):
            left = _holds(boundary - (end - start), boundary, centers)
            right = _holds(boundary, boundary + (end - start), centers)
            insulated |= (left[:, None] & right) | (right[:, None] & left)
    peaks = np.zeros((bins, bins))
    for anchors in loops[(loops[:, :2].max(axis=1) > start0) & (loops[:, 2:].min(axis=1) < end0)]:
        one, other = (_bump(*anchor, centers) for anchor in (anchors[:2], anchors[2:]))
        peaks = np.maximum(peaks, np.maximum(np.outer(one, other), np.outer(other, one)))
    drawn = np.where(inside, DOMAIN, np.where(insulated, INSULATED, 0.0)) + LOOP * peaks
    return drawn.astype(np.float32)[..., None]


def contact_tracks() -> Tracks:
    """The one track of the drawn maps."""

    def text(value: str) -> np.ndarray:
        return np.array([value], dtype=object)

    return Tracks(
        output=Output.CONTACT_MAPS,
        name=text("GM12878 loops and domains"),
        strand=text("."),
        ontology_curie=text("EFO:0002784"),
        biosample_name=text("GM12878"),
        assay=text("Hi-C loops and domains (drawn)"),
        nonzero_mean=np.ones(1, np.float32),
        channel=np.zeros(1, np.int32),
    )


def _lift_domains(path: Path, lift: Lift) -> tuple[dict[str, np.ndarray], int]:
    """Int64 (D, 2) by chromosome, and how many have no place."""
    placed, lost = defaultdict(list), 0
    for first, _ in _read_bedpe(path):
        lifted = lift.interval(*first)
        if lifted is None:
            lost += 1
        else:
            placed[lifted[0]].append(lifted[1:])
    return {chrom: np.array(rows, np.int64) for chrom, rows in placed.items()}, lost


def _lift_loops(path: Path, lift: Lift) -> tuple[dict[str, np.ndarray], int]:
    """Int64 (L, 4) by chromosome, and how many have no place."""
    placed, lost = defaultdict(list), 0
    for anchors in _read_bedpe(path):
        one, other = (lift.interval(*anchor) for anchor in anchors)
        if one is None or other is None or one[0] != other[0]:
            lost += 1
        else:
            placed[one[0]].append(sorted((one[1:], other[1:])))
    return {chrom: np.array(rows, np.int64).reshape(-1, 4) for chrom, rows in placed.items()}, lost


def _read_bedpe(path: Path) -> Iterator[tuple[Interval, Interval]]:
    """Both intervals of each line; contigs get the prefix chr."""
    with path.open() as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                columns = line.split()
                yield _interval(*columns[:3]), _interval(*columns[3:6])


def _interval(chrom: str, start0: str, end0: str) -> Interval:
    return f"chr{chrom.removeprefix('chr')}", int(start0), int(end0)


def _holds(start: int, end: int, centers: np.ndarray) -> np.ndarray:
    return (centers >= start) & (centers < end)


def _bump(start: int, end: int, centers: np.ndarray) -> np.ndarray:
    """A Gaussian (W,) of height 1 in the middle of an anchor."""
    return np.exp(-0.5 * ((centers - (start + end) / 2) / ((end - start) / 2)) ** 2)


def _stack(windows: Sequence[ContactBatch]) -> ContactBatch:
    return ContactBatch(
        codes=np.concatenate([window.codes for window in windows]),
        targets=np.concatenate([window.targets for window in windows]),
        measured=np.concatenate([window.measured for window in windows]),
        origins=tuple(origin for window in windows for origin in window.origins),
    )
