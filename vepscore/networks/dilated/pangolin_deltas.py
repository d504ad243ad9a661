"""The delta scores of Pangolin's program.

Source: tkzeng/Pangolin 1.0.2, `pangolin/pangolin.py`: `process_variant`.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from vepscore.contract import EntryForm, GeneSite, ScoreMatrix
from vepscore.genome.annotation import Gene
from vepscore.networks.dilated.delta_scores import DeltaScorer, Values, align_alternate
from vepscore.networks.dilated.dilated_config import STRANDS, PangolinConfig
from vepscore.outputs import Output

SITE_KINDS = ("site_gain", "site_loss")
_NO_SITES = "NoAnnotatedSitesToMaskForThisGene"


class _Change(NamedTuple):
    """A strongest change in a gene."""

    place: int  # of its position, from the distance before POS on
    score: Any  # numpy scalar, whose rounding depends on its dtype
    tissue: int


class PangolinDeltas(DeltaScorer):
    """The delta scores of Pangolin: the strongest gain and loss of a splice site of either kind in each gene.

    A change is averaged over the networks of a tissue; at each position the largest rise and fall of all tissues count.
    Sequence outside of the gene is read. The distance is that from both ends of REF. The mask removes gains at the ends
    of exons, and losses of other positions. It changes the values of all genes of a strand, one after the other, so
    that a gene is masked by those before it too, as there.

    Scores are in the column of the tissue that they are of, on the gene's strand.
    """

    output = Output.SPLICE_SITE_USAGE
    program = "Pangolin"
    form = EntryForm("Pangolin", "GENE|POSITION:GAIN|POSITION:LOSS|WARNINGS")

    @property
    def _config(self) -> PangolinConfig:
        return self._network.config

    def _why_not(self, site: GeneSite) -> str:
        allele = site.allele
        ref_bp, alt_bp = len(allele.ref), len(allele.alt)
        if ref_bp != alt_bp and min(ref_bp, alt_bp) > 1:
            return "REF and ALT have several bases each, but not the same number"
        if ref_bp > 2 * self.rules.distance_bp:
            return f"REF has more than {2 * self.rules.distance_bp:,} bp, twice the distance"
        if allele.pos0 < self._reach_bp:
            return f"fewer than {self._reach_bp:,} bp are before POS on the contig"
        if self._predicted_bp(site) <= self.rules.distance_bp:
            return f"fewer than {self._margin_bp:,} bp are after POS on the contig"
        return "" if self._genes(site) else "POS is in no gene, or a gene's first base"

    def _predicted_bp(self, site: GeneSite) -> int:
        return self._within_contig(site, 2 * self.rules.distance_bp + len(site.allele.ref))

    def _find_sites(self, site: GeneSite, gene: Gene) -> Int[np.ndarray, " boundaries"]:
        """Return the first and last bases of exons, 0-based."""
        exons = site.annotation.exons_of(gene)
        return np.concatenate([exons[:, 0], exons[:, 1] - 1])

    def _genes(self, site: GeneSite) -> list[Gene]:
        """Return the genes that POS lies in, those of the plus strand first; in their first base it does not."""
        found = [gene for gene in super()._genes(site) if site.allele.pos0 > gene.start0]
        return sorted(found, key=lambda gene: STRANDS.index(gene.strand))

    def score_window(self, site: GeneSite, codes: UInt8[np.ndarray, " bases"]) -> ScoreMatrix:
        genes = self._genes(site)
        shape = len(genes), len(SITE_KINDS), len(STRANDS), self._config.quantities, self._config.tissues
        values = np.full(shape, np.nan, np.float32)
        offsets = np.zeros(shape[:2], np.int64)
        entries: list[str] = []
        for strand in dict.fromkeys(gene.strand for gene in genes):
            by_tissue = self._compare(site, *self._predict(site, codes, strand))
            gain, loss = by_tissue.max(axis=1), by_tissue.min(axis=1)
            for gene in (gene for gene in genes if gene.strand == strand):
                row = len(entries)
                warning = self._mask(site, gene, gain, loss)
                changes = _find_strongest(by_tissue, gain, loss)
                for column, change in enumerate(changes):
                    values[row, column, STRANDS.index(strand), 0, change.tissue] = change.score
                    offsets[row, column] = change.place - self.rules.distance_bp
                parts = (f"{at}:{round(one.score, 2)}" for one, at in zip(changes, offsets[row], strict=True))
                entries.append("|".join([gene.gene_id, *parts, f"Warnings:{warning}"]))
        return ScoreMatrix(
            scorer=self.name,
            output=self.output,
            values=values.reshape(len(genes) * len(SITE_KINDS), -1),
            genes=tuple(gene for gene in genes for _ in SITE_KINDS),
            positions=site.allele.pos0 + offsets.ravel(),
            labels=SITE_KINDS * len(genes),
            entries=tuple(entries),
        )

    def _compare(
        self, site: GeneSite, reference: Values, alternate: Values
    ) -> Float[np.ndarray, "positions tissues"]:
        """Return the change in each tissue."""
        distance_bp = self.rules.distance_bp
        aligned = align_alternate(alternate, distance_bp, site.allele.inserted_bp, zeros_at=distance_bp + 1)
        change = (aligned - reference).reshape(len(reference), self._config.tissues, -1)
        return np.mean(change, axis=-1)

    def _mask(
        self,
        site: GeneSite,
        gene: Gene,
        gain: Float[np.ndarray, " positions"],
        loss: Float[np.ndarray, " positions"],
    ) -> str:
        """Mask gains and losses in place, if the rules say so; return a warning of the program, or ""."""
        if not self.rules.masked:
            return ""
        sites = self._sites_of(site, gene)
        first = site.allele.pos0 - self.rules.distance_bp
        is_site: Bool[np.ndarray, " positions"] = np.isin(np.arange(len(gain)), sites - first)
        gain[is_site] = np.minimum(gain[is_site], 0)
        loss[~is_site] = np.maximum(loss[~is_site], 0)
        return "" if len(sites) else _NO_SITES


def _find_strongest(
    by_tissue: Float[np.ndarray, "positions tissues"],
    gain: Float[np.ndarray, " positions"],
    loss: Float[np.ndarray, " positions"],
) -> tuple[_Change, _Change]:
    """Return the strongest gain and the strongest loss."""
    rise, fall = int(np.argmax(gain)), int(np.argmin(loss))
    return (
        _Change(rise, gain[rise], int(by_tissue[rise].argmax())),
        _Change(fall, loss[fall], int(by_tissue[fall].argmin())),
    )
