"""Training data of contact maps: maps drawn from Hi-C loops and contact domains that others have called.

The maps are drawings, not measurements. A measured map would be log(observed / expected), where expected is the
mean contact at that distance; the loops and domains were found in such maps, and what is drawn is what they
stand for there: a domain is a square of enrichment, its ends insulate it from its neighbours, a loop is a peak
where its anchors meet, and the rest is 0, which is "as expected". How strong each is, is set here and is the
same for all: the lists do not say it. Nothing can be learnt from these maps about how strong a contact is, nor
about contacts that were not called.

Coordinates are 0-based and half-open. Axes: W bins of 2,048 bp in a window, D domains,
L loops.
Source: Rao et al., Cell 159:1665 (2014), GM12878, hg19; AlphaGenome's maps are log(observed / expected) as
in Orca (Zhou, Nature Genetics 54:725, 2022) and Akita (Fudenberg et al., Nature Methods 17:1111, 2020).
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from liftover import ChainFile

from vepscore.genome.text_file import ENCODING
from vepscore.outputs import Output, Tracks
from vepscore.paths import utf8_path
from vepscore.train.pieces import Interval

BIN_BP = Output.CONTACT_MAPS.resolution_bp
# Natural logarithms of observed over expected.
DOMAIN = 0.5
INSULATED = -0.25
LOOP = 1.0
LONGEST_STRETCH = 0.1  # by which a lifted interval may be longer or shorter, as a share of its length


class ContactData:
    """The loops and domains, and the contact maps that are drawn from them.

    Args:
        loops: BEDPE in hg19; columns 1 to 6 are the two anchors.
        domains: BEDPE in hg19; columns 1 to 3 are the domain.
        chain: UCSC chain from hg19 to hg38, plain or gzipped.
    """

    def __init__(self, loops: Path, domains: Path, chain: Path) -> None:
        lift = Lift(chain)
        self.domains, domains_lost = _lift_domains(domains, lift)
        self.loops, loops_lost = _lift_loops(loops, lift)
        self.unlifted = domains_lost + loops_lost  # domains and loops that have no place in hg38: not drawn

    def window(self, chrom: str, start0: int, width_bp: int, *, reverse: bool = False) -> np.ndarray:
        """The map of a window, or of its reverse complement: float32 (W, W, 1), in the space of the head."""
        drawn = draw_map(
            start0,
            width_bp // BIN_BP,
            self.domains.get(chrom, np.empty((0, 2), np.int64)),
            self.loops.get(chrom, np.empty((0, 4), np.int64)),
        )
        return drawn[::-1, ::-1] if reverse else drawn


class Lift:
    """Intervals of one assembly in another.

    Args:
        chain: UCSC chain file, plain or gzipped.
    """

    def __init__(self, chain: Path) -> None:
        self._chain = ChainFile(str(utf8_path(chain)), one_based=False)

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
    with path.open(encoding=ENCODING) as lines:
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
