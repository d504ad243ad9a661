"""Splice junctions: the junctions inside a gene whose predicted counts change most, by tissue.

    SPLICE_JUNCTIONS   |ln(alt + 1e-7) - ln(ref + 1e-7)|, rounded to float16

A gene's rows are the junctions that are the largest in some tissue, each with its score in all tissues.
Array axes: K sites per class, J = K * K pairs of sites (donor-major), G genes, T tissues.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.contract import Footprint, Junctions, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.outputs import SPLICE_CLASSES, Output, Tracks
from vepscore.scorers.regions import gene_bodies, pad_genes, positions_within

_PSEUDOCOUNT = 1e-7
_STRANDS = ("+", "-")


class Winners(NamedTuple):
    """The largest junction of each gene in each tissue; half-open, in bp from the window's start."""

    starts: Any  # int32 (G, T): of the intron that is the largest in the tissue
    ends: Any  # int32 (G, T)
    values: Any  # float16 (G, T, T): winner × tissue
    found: Any  # bool (G,): the gene holds a junction at all; else the other fields mean nothing


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpliceJunctions(Scorer):
    """The change of junctions that lie within a protein-coding gene that the variant overlaps.

    The sites are chosen in the bodies of all genes that it overlaps, coding or not.

    Source: `SpliceJunctionVariantScorer` of alphagenome_research.
    """

    name: str = "SPLICE_JUNCTIONS"
    output: Output = Output.SPLICE_JUNCTIONS
    info_field: str = "VS_SJ"
    max_sites: int = 256  # the network may have chosen more

    needs_genes = True

    def footprint(self, site: Site) -> Footprint | None:
        overlapping = site.overlapping_genes()
        genes = [gene for gene in overlapping if gene.type == "protein_coding" and gene.strand in _STRANDS]
        if not genes:
            return None
        positions = positions_within(gene_bodies(overlapping), site.window)
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
            annotated_sites=_annotated_sites(site, positions, len(padded)),
            site_classes=np.array([kind[-1] in strands for kind in SPLICE_CLASSES]),
        )

    def score(self, reference: Junctions, alternate: Junctions, masks: Mapping[str, Any]) -> Winners:
        """`body` is int32 (G, 2), bp from the window's start; `strand` is int32 (G,), 0 plus and 1 minus."""
        change = _change_bits(reference.counts, alternate.counts)
        return jax.lax.map(
            lambda gene: _winners(reference.sites, change, *gene), (masks["body"], masks["strand"])
        )

    def rows(self, scores: Winners, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        values = [np.zeros((0, len(tracks)), np.float32)]
        junctions = [np.zeros((0, 2), np.int64)]
        genes = []
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


def _annotated_sites(site: Site, positions: np.ndarray, size: int) -> np.ndarray:
    """bool (size, 4): which of `positions` the annotation has as splice sites, by SPLICE_CLASSES."""
    window = site.window
    pos0, classes = site.annotation.splice_sites(window.chrom, window.start0, window.end0)
    annotated = np.zeros((window.width_bp, len(SPLICE_CLASSES)), bool)
    annotated[pos0 - window.start0, classes] = True
    padded = np.zeros((size, len(SPLICE_CLASSES)), bool)
    padded[: len(positions)] = annotated[positions]
    return padded


def _change_bits(reference: Any, alternate: Any) -> Any:
    """The score of every pair of sites, as the bits of a float16: int16 (K, K, 2, T).

    Bits of floats that are not negative sort as the floats do. As integers they stay rounded: a compiler may
    drop a rounding between two float32 steps, and which of two near-equal junctions wins hangs on it.
    """
    reference, alternate = (jnp.log(counts + _PSEUDOCOUNT) for counts in (reference, alternate))
    bits = jax.lax.bitcast_convert_type((alternate - reference).astype(jnp.float16), jnp.int16)
    return bits & 0x7FFF


def _winners(sites: Any, change: Any, body: Any, strand: Any) -> Winners:
    """The winners of one gene, without the axis G."""
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
