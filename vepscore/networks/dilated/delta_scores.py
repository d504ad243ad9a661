"""Delta scores as the published programs of these networks make them: their windows, masks and rules for indels.

For each gene that POS lies in, the strand of the gene is predicted for both alleles, at the positions up to a distance
from POS, with N where the program has N. The alternate's values are aligned to the reference's, and a gain or a loss is
the largest rise or fall, at the first such position in the genome. Alleles are those of the record, as written.

Source: Illumina/SpliceAI 1.3.1, `spliceai/utils.py`: `get_delta_scores`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from vepscore.contract import Footprint, GeneSite, ScoreMatrix, WindowScorer, pad_positions, padded_size
from vepscore.errors import UsageError
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import UNKNOWN, encode_bases
from vepscore.model.network import DeltaRules
from vepscore.networks.dilated.strand_predictor import StrandPredictor, Stretch, Values
from vepscore.outputs import EVENT_KINDS, SPLICE_CLASSES, Output

_SLACKS_BP = (0, 16, 64, 256, 1024, 1600)  # indels of up to so many bases share compiled code


class SpliceAIDeltas(WindowScorer):
    """The delta scores of SpliceAI, of both kinds of sites: the strongest gain and loss, each with its position.

    Sequence outside of the gene is N. An allele that changes REF and ALT of several bases each has none, as there.
    """

    name = "SPLICE_EVENTS"
    output = Output.SPLICE_SITES
    is_signed = True

    def __init__(self, network: Any, rules: DeltaRules) -> None:
        self.rules = rules
        self._margin_bp = network.margin_bp
        self._predictor = StrandPredictor(network)

    def footprint(self, site: GeneSite) -> Footprint | None:
        genes = self._genes(site)
        if not genes or min(len(site.allele.ref), len(site.allele.alt)) > 1:
            return None
        return Footprint(positions=pad_positions(np.zeros(0, np.int32)), masks={}, genes=tuple(genes))

    def score_window(self, site: GeneSite, codes: UInt8[np.ndarray, " bases"]) -> ScoreMatrix:
        genes = self._genes(site)
        values = np.full((len(genes), len(EVENT_KINDS), len(SPLICE_CLASSES)), np.nan, np.float32)
        positions = np.full((len(genes), len(EVENT_KINDS)), -1, np.int64)
        for row, gene in enumerate(genes):
            reference, alternate = self._predictor.predict(self._stretch(site, gene, codes))
            scores, offsets = self._compare(site, gene, reference, alternate)
            for column, kind in enumerate(EVENT_KINDS):
                track = SPLICE_CLASSES.index(kind.partition("_")[0] + gene.strand)
                values[row, column, track] = scores[column] if kind.endswith("gain") else -scores[column]
            positions[row] = site.allele.pos0 + offsets
        return ScoreMatrix(
            scorer=self.name,
            output=self.output,
            values=values.reshape(-1, len(SPLICE_CLASSES)),
            genes=tuple(gene for gene in genes for _ in EVENT_KINDS),
            positions=positions.ravel(),
            labels=EVENT_KINDS * len(genes),
        )

    def _genes(self, site: GeneSite) -> list[Gene]:
        """Return the genes that POS lies in."""
        pos0 = site.allele.pos0
        found = site.annotation.genes_overlapping(site.allele.chrom, pos0, pos0 + 1)
        return [gene for gene in found if gene.strand in ("+", "-")]

    def _stretch(self, site: GeneSite, gene: Gene, codes: UInt8[np.ndarray, " bases"]) -> Stretch:
        """Return the sequences of a gene; N beyond it."""
        allele = site.allele
        slack = padded_size(abs(allele.inserted_bp), _SLACKS_BP)
        first = allele.pos0 - self.rules.distance_bp - self._margin_bp - slack
        width = 2 * (self._margin_bp + self.rules.distance_bp) + 1 + slack
        of_codes = first - (site.window.start0 - self._margin_bp)
        if of_codes < 0 or of_codes + width + 2 * slack > len(codes):
            raise UsageError(
                f"--spliceai-distance {self.rules.distance_bp}\nneeds {width + 2 * slack:,} bp around {allele.chrom}:"
                f"{allele.pos0 + 1}, the window has {len(codes):,}",
                hint="choose a larger --window, or a smaller distance",
            )
        masked = _cut(codes, of_codes, width + 2 * slack)
        masked[: max(gene.start0 - first, 0)] = UNKNOWN
        masked[max(gene.end0 - first, 0) :] = UNKNOWN
        start = slack + self._margin_bp + self.rules.distance_bp
        after = masked[start + len(allele.ref) :]
        changed = np.concatenate([masked[:start], encode_bases(allele.alt.encode()), after])
        alternate = _cut(changed, slack, width)
        return Stretch(
            reference=masked,
            alternate=alternate,
            first0=first,
            start=start - slack,
            reference_bp=len(allele.ref),
            alternate_bp=len(allele.alt),
            slack=slack,
            strand=gene.strand,
        )

    def _compare(
        self, site: GeneSite, gene: Gene, reference: Values, alternate: Values
    ) -> tuple[Sequence[float], np.ndarray]:
        """Return the delta score of each kind of event, and its position relative to POS."""
        size = 2 * self.rules.distance_bp + 1
        aligned = align_alternate(alternate, self.rules.distance_bp, site.allele.inserted_bp)
        change = aligned - reference[:size]
        donor, acceptor = change.T
        by_kind = np.stack([acceptor, -acceptor, donor, -donor])  # as EVENT_KINDS
        index = by_kind.argmax(axis=1)
        scores, offsets = by_kind.max(axis=1), index - self.rules.distance_bp
        if self.rules.masked:
            at_boundary = offsets == self._nearest_boundary(site, gene) - site.allele.pos0
            is_gain = np.array([kind.endswith("gain") for kind in EVENT_KINDS])
            scores = np.where(at_boundary == is_gain, 0, scores)
        return scores.tolist(), offsets

    def _nearest_boundary(self, site: GeneSite, gene: Gene) -> int:
        """Return the first or last base of an exon that is nearest to POS, 0-based; of two, the left one."""
        exons = site.annotation.exons_of(gene)
        boundaries = np.sort(np.concatenate([exons[:, 0], exons[:, 1] - 1]))
        return int(boundaries[np.abs(boundaries - site.allele.pos0).argmin()])


def align_alternate(alternate: Values, distance_bp: int, inserted_bp: int) -> Values:
    """Return the alternate's values at the reference's positions, from `distance_bp` before POS to as far after it.

    Inserted bases are reduced to the largest value of POS and them; deleted ones are 0. If more bases are deleted than
    `distance_bp`, the first positions of the alternate come first and zeros last, as in the program.
    """
    size, anchor = 2 * distance_bp + 1, distance_bp
    if inserted_bp >= 0:
        largest = alternate[anchor : anchor + inserted_bp + 1].max(axis=0, keepdims=True)
        parts = [alternate[:anchor], largest, alternate[anchor + inserted_bp + 1 :]]
        return np.concatenate(parts)[:size]
    kept = alternate[: max(size + inserted_bp, 0)]
    zeros = np.zeros((min(-inserted_bp, size), alternate.shape[1]), alternate.dtype)
    return np.concatenate([kept[: anchor + 1], zeros, kept[anchor + 1 :]])[:size]


def _cut(codes: UInt8[np.ndarray, " bases"], first: int, size: int) -> UInt8[np.ndarray, " cut"]:
    """Return a copy of `size` bases from `first` on; N beyond both ends."""
    cut = np.full(size, UNKNOWN, np.uint8)
    low, high = max(first, 0), min(first + size, len(codes))
    if low < high:
        cut[low - first : high - first] = codes[low:high]
    return cut
