"""Delta scores as the published programs of these networks make them: what their rules have in common.

Both alleles are predicted on the strand of each gene, at the positions up to a distance from the variant. The
alternate's values are aligned to the reference's, and a gain or a loss is the largest rise or fall, at the first such
position in the genome. Alleles are those of the record, as written. The programs differ in which genes and alleles they
score, in the sequence that they read, and in how they align and mask values: a module each.
"""

import abc
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from vepscore.contract import EntryForm, GeneSite, ScoreMatrix, WindowScorer, padded_size
from vepscore.errors import UsageError
from vepscore.genome.annotation import Gene
from vepscore.genome.windows import UNKNOWN, encode_bases
from vepscore.model.network import DeltaRules
from vepscore.networks.dilated.strand_predictor import StrandPredictor, Stretch
from vepscore.outputs import EVENT_KINDS, SPLICE_CLASSES, Output

_SLACKS_BP = (16, 256, 1600)  # alleles of up to so many bases after POS share compiled code

Values = Float[np.ndarray, "_ values"]


class DeltaScorer(WindowScorer):
    """Delta scores of a published program."""

    name = "SPLICE_EVENTS"
    is_signed = True
    program: ClassVar[str]  # its name in messages

    def __init__(self, network: Any, rules: DeltaRules) -> None:
        self.rules = rules
        self._network, self._margin_bp = network, network.margin_bp
        self._sites: dict[Gene, Any] = {}  # of genes, as `_find_sites` returns them

    @functools.cached_property
    def _predictor(self) -> StrandPredictor:
        """What runs the network; made when it is needed, since a scorer may only say what it refuses."""
        return StrandPredictor(self._network)

    def refusal(self, site: GeneSite) -> str:
        reason = self._why_not(site)
        return f"{self.program}: {reason}" if reason else ""

    @abc.abstractmethod
    def _why_not(self, site: GeneSite) -> str:
        """Return why the program does not score an allele; "" if it does."""

    @abc.abstractmethod
    def _predicted_bp(self, site: GeneSite) -> int:
        """Return at how many positions the program predicts the reference, from the distance before POS on."""

    @abc.abstractmethod
    def _find_sites(self, site: GeneSite, gene: Gene) -> Any:
        """Return the annotated sites of a gene, which masks are about."""

    @property
    def _reach_bp(self) -> int:
        """How many bases before POS the program reads."""
        return self._margin_bp + self.rules.distance_bp

    def _within_contig(self, site: GeneSite, size: int) -> int:
        """Return how many of so many positions, from the distance before POS on, are predicted: none near the end."""
        if site.contig_bp is None:
            return size
        first = site.allele.pos0 - self.rules.distance_bp
        return min(size, site.contig_bp - self._margin_bp - first)

    def _genes(self, site: GeneSite) -> list[Gene]:
        """Return the genes that POS lies in."""
        pos0 = site.allele.pos0
        found = site.annotation.genes_overlapping(site.allele.chrom, pos0, pos0 + 1)
        return [gene for gene in found if gene.strand in ("+", "-")]

    def _sites_of(self, site: GeneSite, gene: Gene) -> Any:
        if gene not in self._sites:
            self._sites[gene] = self._find_sites(site, gene)
        return self._sites[gene]

    def _predict(
        self,
        site: GeneSite,
        codes: UInt8[np.ndarray, " bases"],
        strand: str,
        bounds: tuple[int, int] | None = None,
    ) -> tuple[Values, Values]:
        """Return the values of both alleles, each at the positions at which the program predicts it.

        Args:
            site: the allele.
            codes: of `score_window`.
            strand: the strand that is predicted.
            bounds: sequence outside of them is N, 0-based half-open; None: none is.
        """
        reference, alternate = self._predictor.predict(self._stretch(site, codes, strand, bounds))
        allele, size = site.allele, self._predicted_bp(site)
        if allele.ref == allele.alt:
            alternate = reference  # compiled code may round equal terms differently
        return reference[:size], alternate[: max(size + allele.inserted_bp, 0)]

    def _stretch(
        self,
        site: GeneSite,
        codes: UInt8[np.ndarray, " bases"],
        strand: str,
        bounds: tuple[int, int] | None,
    ) -> Stretch:
        """Return the sequences of both alleles, with one position more after REF than the distance."""
        allele = site.allele
        slack = padded_size(max(len(allele.ref), len(allele.alt)) - 1, _SLACKS_BP)
        first = allele.pos0 - self._reach_bp - slack
        width = 2 * self._reach_bp + 2 + slack
        of_codes = first - (site.window.start0 - self._margin_bp)
        read_bp = 2 * self._reach_bp + 1 + len(allele.ref)
        if of_codes + slack < 0 or of_codes + slack + read_bp > len(codes):
            raise UsageError(
                f"--spliceai-distance {self.rules.distance_bp}\nneeds {read_bp:,} bp around {allele.chrom}:"
                f"{allele.pos0 + 1}, the window has {len(codes):,}",
                hint="choose a larger --window, or a smaller distance",
            )
        reference = _cut(codes, of_codes, width + 2 * slack)
        if bounds is not None:
            reference[: max(bounds[0] - first, 0)] = UNKNOWN
            reference[max(bounds[1] - first, 0) :] = UNKNOWN
        start = slack + self._reach_bp
        after = reference[start + len(allele.ref) :]
        changed = np.concatenate([reference[:start], encode_bases(allele.alt.encode()), after])
        return Stretch(
            reference=reference,
            alternate=_cut(changed, slack, width),
            first0=first,
            start=start - slack,
            reference_bp=len(allele.ref),
            alternate_bp=len(allele.alt),
            slack=slack,
            strand=strand,
        )


class GeneDeltas(NamedTuple):
    """The delta scores of a gene, by `vepscore.outputs.EVENT_KINDS`."""

    gene: Gene | None  # None: of a strand where the program has no gene
    strand: str
    scores: Float[np.ndarray, " kinds"]  # gains and losses are both positive
    offsets: Int[np.ndarray, " kinds"]  # of their positions to POS


class EventDeltas(DeltaScorer):
    """Delta scores of both kinds of splice sites, in the form of SpliceAI: `ALLELE|SYMBOL|` scores and offsets."""

    output = Output.SPLICE_SITES

    def __init_subclass__(cls, *, program: str, field: str) -> None:
        cls.program = program
        cls.form = EntryForm(field, "ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL")

    def score_window(self, site: GeneSite, codes: UInt8[np.ndarray, " bases"]) -> ScoreMatrix:
        genes = self._score_genes(site, codes)
        values = np.full((len(genes), len(EVENT_KINDS), len(SPLICE_CLASSES)), np.nan, np.float32)
        for row, one in enumerate(genes):
            for column, kind in enumerate(EVENT_KINDS):
                track = SPLICE_CLASSES.index(kind.partition("_")[0] + one.strand)
                score = one.scores[column]
                values[row, column, track] = score if kind.endswith("gain") else -score
        return ScoreMatrix(
            scorer=self.name,
            output=self.output,
            values=values.reshape(-1, len(SPLICE_CLASSES)),
            genes=tuple(one.gene for one in genes for _ in EVENT_KINDS),
            positions=np.concatenate([site.allele.pos0 + one.offsets for one in genes]).astype(np.int64),
            labels=EVENT_KINDS * len(genes),
            entries=tuple(_entry(site.allele.alt, one) for one in genes),
        )

    @abc.abstractmethod
    def _score_genes(self, site: GeneSite, codes: UInt8[np.ndarray, " bases"]) -> Sequence[GeneDeltas]:
        """Return the delta scores of the genes, in the order of the program."""


def align_alternate(alternate: Values, distance_bp: int, inserted_bp: int, *, zeros_at: int) -> Values:
    """Return the alternate's values at the positions of the reference's, which begin `distance_bp` before POS.

    Inserted bases are reduced to the largest value of POS and them, each kind of value by itself. For deleted ones
    zeros are put before the value at the index `zeros_at`, or after the last one. They make the values float64, which
    they are in the programs.
    """
    if inserted_bp < 0:
        zeros = np.zeros((-inserted_bp, alternate.shape[1]))
        return np.concatenate([alternate[:zeros_at], zeros, alternate[zeros_at:]])
    end = distance_bp + inserted_bp + 1
    largest = alternate[distance_bp:end].max(axis=0, keepdims=True)
    return np.concatenate([alternate[:distance_bp], largest, alternate[end:]])


def _entry(alt: str, one: GeneDeltas) -> str:
    """Return the text that the programs print for a gene."""
    name = one.strand if one.gene is None else one.gene.name
    return "|".join([alt, name, *(f"{score:.2f}" for score in one.scores), *map(str, one.offsets)])


def _cut(codes: UInt8[np.ndarray, " bases"], first: int, size: int) -> UInt8[np.ndarray, " cut"]:
    """Return a copy of `size` bases from `first` on; N beyond both ends."""
    cut = np.full(size, UNKNOWN, np.uint8)
    low, high = max(first, 0), min(first + size, len(codes))
    if low < high:
        cut[low - first : high - first] = codes[low:high]
    return cut
