"""Synthetic contact maps, drawn from called Hi-C loops and contact domains.

The maps are drawings, not measurements. A measured map is log(observed / expected), where expected is the mean contact
at that distance. Loops and domains were called in such maps; here a domain is drawn as a square of enrichment whose
ends insulate it from its neighbors, a loop as a peak where its anchors meet, and everything else is 0, "as expected".
The strengths are constants, because the lists do not give them: nothing can be learned from these maps about how strong
a contact is, nor about contacts that were not called.

Coordinates are 0-based and half-open. Axes: W bins of 2,048 bp in a window, D domains, L loops.

Source: Rao et al., Cell 159:1665 (2014), GM12878, hg19. AlphaGenome's maps are log(observed / expected), as in Orca
(Zhou, Nature Genetics 54:725, 2022) and Akita (Fudenberg et al., Nature Methods 17:1111, 2020).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from liftover import ChainFile

from vepscore.errors import TrainingError
from vepscore.genome.text_file import ENCODING
from vepscore.outputs import PAIR_BIN_BP, Output, Tracks
from vepscore.paths import utf8_path
from vepscore.train.segments import Interval

BIN_BP = PAIR_BIN_BP
# Natural logarithms of observed / expected.
DOMAIN = 0.5
INSULATED = -0.25
LOOP = 1.0
MAX_LENGTH_CHANGE = (
    0.1  # largest change of an interval's length in the other assembly, as a fraction of its length
)


def read_contacts(files: Mapping[str, Path]) -> "SyntheticContacts":
    """Read the files `loops`, `domains` and `chain` of a recipe's `data.contacts`.

    Raises:
        TrainingError: the recipe names other files.
    """
    if files.keys() != {"loops", "domains", "chain"}:
        raise TrainingError(f"data.contacts: found {', '.join(files)}, expected loops, domains and chain")
    return SyntheticContacts(**files)


class SyntheticContacts:
    """Loops and domains, and the contact maps drawn from them.

    Args:
        loops: BEDPE in hg19; columns 1 to 6 are the two anchors.
        domains: BEDPE in hg19; columns 1 to 3 are the domain.
        chain: UCSC chain from hg19 to hg38, uncompressed or gzipped.
    """

    def __init__(self, loops: Path, domains: Path, chain: Path) -> None:
        lift = Lift(chain)
        self.tracks = contact_tracks()
        self.domains, domains_lost = _lift_domains(domains, lift)
        self.loops, loops_lost = _lift_loops(loops, lift)
        self.unlifted = domains_lost + loops_lost  # number of domains and loops that do not lift to hg38

    def window(self, chrom: str, start0: int, width_bp: int, *, reverse: bool = False) -> np.ndarray:
        """Return the map of a window or of its reverse complement: float32 (W, W, 1), log(observed / expected)."""
        contacts = synthesize_map(
            start0,
            width_bp // BIN_BP,
            self.domains.get(chrom, np.empty((0, 2), np.int64)),
            self.loops.get(chrom, np.empty((0, 4), np.int64)),
        )
        return contacts[::-1, ::-1] if reverse else contacts


class Lift:
    """Lift intervals from one assembly to another.

    Args:
        chain: UCSC chain file, uncompressed or gzipped.
    """

    def __init__(self, chain: Path) -> None:
        self._chain = ChainFile(str(utf8_path(chain)), one_based=False)

    def interval(self, chrom: str, start0: int, end0: int) -> Interval | None:
        """Return the interval in the other assembly.

        Return None if its first or last base lifts to none or several positions, if the two lift to different
        chromosomes or strands, or if the length changes by more than MAX_LENGTH_CHANGE.
        """
        if chrom not in self._chain:
            return None
        first, last = (self._chain.query(chrom, position) for position in (start0, end0 - 1))
        if len(first) != 1 or len(last) != 1 or first[0][::2] != last[0][::2]:
            return None
        low, high = sorted((first[0][1], last[0][1]))
        length = end0 - start0
        if abs(high + 1 - low - length) > MAX_LENGTH_CHANGE * length:
            return None
        return first[0][0], low, high + 1


def synthesize_map(start0: int, bins: int, domains: np.ndarray, loops: np.ndarray) -> np.ndarray:
    """Return the synthetic contact map of a window, as natural logarithms of observed / expected.

    A pair of bins is DOMAIN if one domain contains the centers of both; else INSULATED if an end of a domain lies
    between them and both are within that domain's width of it; else 0. Each loop adds a Gaussian peak of height LOOP at
    the centers of its anchors, with half of each anchor's width as its standard deviation; where peaks overlap, the
    higher one counts.

    Args:
        start0: first base of the window.
        bins: number of bins, W.
        domains: int64 (D, 2), start and end on the window's chromosome.
        loops: int64 (L, 4), start and end of the first anchor, then of the second.

    Returns:
        float32 (W, W, 1), symmetric.
    """
    centers = start0 + (np.arange(bins) + 0.5) * BIN_BP
    end0 = start0 + bins * BIN_BP
    inside = np.zeros((bins, bins), bool)
    insulated = np.zeros((bins, bins), bool)
    widths = domains[:, 1] - domains[:, 0]
    for start, end in domains[(domains[:, 0] - widths < end0) & (domains[:, 1] + widths > start0)]:
        domain = _contains(start, end, centers)
        inside |= domain[:, None] & domain
        for boundary in (start, end):
            left = _contains(boundary - (end - start), boundary, centers)
            right = _contains(boundary, boundary + (end - start), centers)
            insulated |= (left[:, None] & right) | (right[:, None] & left)
    peaks = np.zeros((bins, bins))
    for anchors in loops[(loops[:, :2].max(axis=1) > start0) & (loops[:, 2:].min(axis=1) < end0)]:
        one, other = (_bump(*anchor, centers) for anchor in (anchors[:2], anchors[2:]))
        peaks = np.maximum(peaks, np.maximum(np.outer(one, other), np.outer(other, one)))
    contacts = np.where(inside, DOMAIN, np.where(insulated, INSULATED, 0.0)) + LOOP * peaks
    return contacts.astype(np.float32)[..., None]


def contact_tracks() -> Tracks:
    """Return the one track of the maps."""

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
    """Return int64 (D, 2) by chromosome, and the number of domains that do not lift."""
    placed, lost = defaultdict(list), 0
    for first, _ in _read_bedpe(path):
        lifted = lift.interval(*first)
        if lifted is None:
            lost += 1
        else:
            placed[lifted[0]].append(lifted[1:])
    return {chrom: np.array(rows, np.int64) for chrom, rows in placed.items()}, lost


def _lift_loops(path: Path, lift: Lift) -> tuple[dict[str, np.ndarray], int]:
    """Return int64 (L, 4) by chromosome, and the number of loops that do not lift."""
    placed, lost = defaultdict(list), 0
    for anchors in _read_bedpe(path):
        one, other = (lift.interval(*anchor) for anchor in anchors)
        if one is None or other is None or one[0] != other[0]:
            lost += 1
        else:
            placed[one[0]].append(sorted((one[1:], other[1:])))
    return {chrom: np.array(rows, np.int64).reshape(-1, 4) for chrom, rows in placed.items()}, lost


def _read_bedpe(path: Path) -> Iterator[tuple[Interval, Interval]]:
    """Yield both intervals of each line; contigs get the prefix chr."""
    with path.open(encoding=ENCODING) as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                columns = line.split()
                yield _interval(*columns[:3]), _interval(*columns[3:6])


def _interval(chrom: str, start0: str, end0: str) -> Interval:
    return f"chr{chrom.removeprefix('chr')}", int(start0), int(end0)


def _contains(start: int, end: int, centers: np.ndarray) -> np.ndarray:
    return (centers >= start) & (centers < end)


def _bump(start: int, end: int, centers: np.ndarray) -> np.ndarray:
    """Return a Gaussian (W,) of height 1 centered on an anchor."""
    return np.exp(-0.5 * ((centers - (start + end) / 2) / ((end - start) / 2)) ** 2)
