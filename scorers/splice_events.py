"""Splice events: the strongest gain and loss of an acceptor and a donor in each gene, with their positions.

    SPLICE_EVENTS   alt - ref of the site's probability, where it is largest (gain) and smallest (loss)

A position is that of the exon base next to the intron, as in the signal itself: the last base of the exon for a donor,
the first for an acceptor. SpliceAI uses the same convention. Positions are in the reference: sites inside an insertion
are reported at the insertion's anchor, the last base before it; sites at deleted bases count as lost.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int32

from vepscore.contract import Footprint, GeneScorer, GeneSite, ScoreMatrix, common_strand, pad_positions
from vepscore.outputs import EVENT_KINDS, SPLICE_CLASSES, Output, Tracks
from vepscore.scorers.gene_positions import Signal, gene_bodies, index_ranges, pad_genes, positions_within

# By strand (plus, minus): the index in SPLICE_CLASSES of each event's site.
_CLASSES = np.array(
    [[SPLICE_CLASSES.index(event.partition("_")[0] + strand) for event in EVENT_KINDS] for strand in "+-"],
    np.int32,
)
_SIGNS = np.array([1, -1, 1, -1], np.float32)  # by event


class Strongest(NamedTuple):
    """The largest change of each kind of event in each gene."""

    sizes: Float32[Any, "*genes 4"]  # not negative
    indices: Int32[Any, "*genes 4"]  # among the positions read; without meaning where the size is 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpliceEvents(GeneScorer):
    """Find the strongest gain and loss of an acceptor and a donor, each with its position.

    Gains are positive, losses negative. Each gene that the variant overlaps has one row per kind of event, with its
    score in the track of that kind of site on the gene's strand. Without a gain, or loss, the score is 0 and has no
    position. Of equal changes, the one with the lowest position is reported.

    Reads the positions that SPLICE_SITES reads. In contrast to SPLICE_SITES, sites that an insertion pushes out of the
    window's right end are no losses (nothing is pushed out where the alternate allele has two windows).
    """

    name: str = "SPLICE_EVENTS"
    output: Output = Output.SPLICE_SITES

    is_signed = True

    def footprint(self, site: GeneSite) -> Footprint | None:
        overlapping = site.overlapping_genes()
        genes = [gene for gene in overlapping if gene.strand in ("+", "-")]
        if not genes:
            return None
        # All genes' bodies, so that the signal is predicted once for this scorer and SPLICE_SITES.
        positions = positions_within(gene_bodies(overlapping), site, self.output)
        pushed_out_bp = 0 if site.has_two_windows else max(site.allele.inserted_bp, 0)
        last0 = site.window.end0 - pushed_out_bp
        bodies = np.minimum(gene_bodies(genes), last0)
        return Footprint(
            positions=pad_positions(positions),
            masks={
                "body": pad_genes(index_ranges(bodies, positions, site, self.output)),
                "classes": pad_genes(np.array([_CLASSES["+-".index(gene.strand)] for gene in genes])),
            },
            genes=tuple(genes),
            aligned=True,
            strand=common_strand(genes),
        )

    def score(self, reference: Signal, alternate: Signal, masks: Mapping[str, Array]) -> Strongest:
        """Find each gene's events.

        `body` is int32 (genes, 2), a range of the positions read; `classes` is int32 (genes, 4), a track per event.
        """
        index = jnp.arange(reference.shape[0])

        def strongest(gene: tuple[Array, Array]) -> Strongest:
            body, classes = gene
            inside = (index >= body[0]) & (index < body[1])
            change = (alternate[:, classes] - reference[:, classes]) * _SIGNS
            change = jnp.where(inside[:, None], change, 0)
            indices = change.argmax(axis=0)
            return Strongest(jnp.take_along_axis(change, indices[None], axis=0)[0], indices)

        return jax.lax.map(strongest, (masks["body"], masks["classes"]))

    def rows(self, scores: Strongest, footprint: Footprint, site: GeneSite, tracks: Tracks) -> ScoreMatrix:
        count = len(footprint.genes)
        sizes, indices = scores.sizes[:count], scores.indices[:count]
        found = sizes > 0
        values = np.full((count, len(EVENT_KINDS), len(tracks)), np.nan, np.float32)
        scored = np.where(found, sizes * _SIGNS, np.float32(0))
        np.put_along_axis(values, footprint.masks["classes"][:count, :, None], scored[..., None], axis=2)
        positions = np.where(found, footprint.positions[indices] + np.int64(site.window.start0), -1)
        return ScoreMatrix(
            scorer=self.name,
            output=self.output,
            values=values.reshape(-1, len(tracks)),
            genes=tuple(gene for gene in footprint.genes for _ in EVENT_KINDS),
            positions=positions.ravel(),
            labels=EVENT_KINDS * count,
        )


SPLICE_EVENTS = SpliceEvents()
