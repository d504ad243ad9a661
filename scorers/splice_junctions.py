"""Splice junctions: the junctions of each gene whose predicted counts change most, by tissue.

    SPLICE_JUNCTIONS   |ln(alt + 1e-7) - ln(ref + 1e-7)|, rounded to float16

A gene's rows are the junctions with the largest change in some tissue, each with its score in all tissues.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float16, Float32, Int, Int16, Int32

from vepscore.contract import (
    Footprint,
    GeneScorer,
    GeneSite,
    Junctions,
    ScoreMatrix,
    common_strand,
    pad_positions,
)
from vepscore.genome.annotation import Gene
from vepscore.outputs import SPLICE_CLASSES, Output, Tracks
from vepscore.scorers.gene_positions import gene_bodies, pad_genes, positions_within

_PSEUDOCOUNT = 1e-7
_STRANDS = ("+", "-")


class Winners(NamedTuple):
    """The junction with the largest change in each tissue, for each gene."""

    starts: Int32[Any, "*genes tissues"]  # of its intron, bp from the window's start
    ends: Int32[Any, "*genes tissues"]  # exclusive
    values: Float16[
        Any, "*genes tissues tissues"
    ]  # change of these junctions in all tissues: junction × tissue
    found: Bool[Any, "*genes"]  # whether the gene has any junction; if not, the other fields are meaningless


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpliceJunctions(GeneScorer):
    """Compare junctions within each protein-coding gene that the variant overlaps.

    Splice sites are chosen in the bodies of all genes that it overlaps, coding or not.

    Source: `SpliceJunctionVariantScorer` of alphagenome_research.
    """

    name: str = "SPLICE_JUNCTIONS"
    output: Output = Output.SPLICE_JUNCTIONS
    info_field: str | None = "VS_SJ"
    max_sites: int | None = 256  # the network may choose more

    def footprint(self, site: GeneSite) -> Footprint | None:
        overlapping = site.overlapping_genes()
        genes = [gene for gene in overlapping if gene.type == "protein_coding" and gene.strand in _STRANDS]
        if not genes:
            return None
        positions = positions_within(gene_bodies(overlapping), site, self.output)
        padded = pad_positions(positions)
        strands = {gene.strand for gene in genes}
        return Footprint(
            positions=padded,
            masks={
                "body": pad_genes((gene_bodies(genes) - site.window.start0).astype(np.int32)),
                "strand": pad_genes(np.array([_STRANDS.index(gene.strand) for gene in genes], np.int32)),
            },
            genes=tuple(genes),
            aligned=True,
            strand=common_strand(genes),
            annotated_sites=_annotated_sites(site, positions, len(padded)),
            site_classes=np.array([kind[-1] in strands for kind in SPLICE_CLASSES]),
        )

    def score(self, reference: Junctions, alternate: Junctions, masks: Mapping[str, Array]) -> Winners:
        """Find each gene's winners.

        `body` is int32 (genes, 2), bp from the window's start; `strand` is int32 (genes,), 0 for plus, 1 for minus.
        """
        change = _change_bits(reference.counts, alternate.counts)
        return jax.lax.map(
            lambda gene: _winners(reference.sites, change, *gene), (masks["body"], masks["strand"])
        )

    def rows(self, scores: Winners, footprint: Footprint, site: GeneSite, tracks: Tracks) -> ScoreMatrix:
        values = [np.zeros((0, len(tracks)), np.float32)]
        junctions = [np.zeros((0, 2), np.int64)]
        genes: list[Gene] = []
        for index in np.flatnonzero(scores.found[: len(footprint.genes)]):
            winners = np.stack([scores.starts[index], scores.ends[index]], axis=1)
            _, first = np.unique(winners, axis=0, return_index=True)
            first.sort()
            values.append(scores.values[index, first].astype(np.float32))
            junctions.append(winners[first].astype(np.int64) + site.window.start0)
            genes += [footprint.genes[index]] * len(first)
        return ScoreMatrix(
            scorer=self.name,
            output=self.output,
            values=np.concatenate(values),
            genes=tuple(genes),
            junctions=np.concatenate(junctions),
        )


def _annotated_sites(
    site: GeneSite, positions: Int[np.ndarray, " positions"], size: int
) -> Bool[np.ndarray, "{size} 4"]:
    """Return which positions are annotated splice sites, by SPLICE_CLASSES, padded to `size` rows."""
    window = site.window
    pos0, classes = site.annotation.splice_sites(window.chrom, window.start0, window.end0)
    annotated = np.zeros((window.width_bp, len(SPLICE_CLASSES)), bool)
    annotated[pos0 - window.start0, classes] = True
    padded = np.zeros((size, len(SPLICE_CLASSES)), bool)
    padded[: len(positions)] = annotated[positions]
    return padded


def _change_bits(
    reference: Float32[Array, "sites sites 2 tissues"], alternate: Float32[Array, "sites sites 2 tissues"]
) -> Int16[Array, "sites sites 2 tissues"]:
    """Return the score of every pair of sites, as the bits of a float16.

    Bits of non-negative floats sort as the floats do. As integers they stay rounded: a compiler may drop a rounding
    between two float32 operations, and which of two nearly equal junctions wins depends on it.
    """
    reference, alternate = (jnp.log(counts + _PSEUDOCOUNT) for counts in (reference, alternate))
    bits = jax.lax.bitcast_convert_type((alternate - reference).astype(jnp.float16), jnp.int16)
    return bits & 0x7FFF


def _winners(
    sites: Int32[Array, "4 sites"],
    change: Int16[Array, "sites sites 2 tissues"],
    body: Int32[Array, " 2"],
    strand: Int32[Array, ""],
) -> Winners:
    """Return the winners of one gene, without an axis of genes."""
    donors = sites[2 * strand][:, None]
    acceptors = sites[2 * strand + 1][None, :]
    # The last base of the exon before the intron, and the first base of the exon after it.
    before = jnp.where(strand == 0, donors, acceptors)
    after = jnp.where(strand == 0, acceptors, donors)
    starts, ends = before + 1, after + jnp.zeros_like(before)
    inside = (donors >= 0) & (acceptors >= 0) & (starts < ends) & (starts > body[0]) & (ends < body[1])
    bits = jnp.where(inside[..., None], change[:, :, strand], -1)
    bits = bits.reshape(-1, bits.shape[-1])
    largest = bits.argmax(axis=0)
    return Winners(
        starts=starts.ravel()[largest],
        ends=ends.ravel()[largest],
        values=jax.lax.bitcast_convert_type(bits[largest], jnp.float16),
        found=inside.any(),
    )


SPLICE_JUNCTIONS = SpliceJunctions()
