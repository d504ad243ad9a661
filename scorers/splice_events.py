"""Splice events: the strongest gain and loss of an acceptor and of a donor in each gene, with their positions.

    SPLICE_EVENTS   alt - ref of the site's probability, where it is largest (gain) and smallest (loss)

A position is that of the exon's base next to the intron, as in the signal itself: the last base of the exon for a
donor, the first for an acceptor. That is SpliceAI's convention too. It is a position of the reference: what an
insertion holds is found at the insertion's anchor, the last base before it, and a base that is deleted is lost.

Array axes: P positions read, T tracks, G genes; 4 kinds of event.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.outputs import SPLICE_CLASSES, Output, Tracks
from vepscore.scorers.regions import gene_bodies, index_ranges, pad_genes, positions_within

EVENTS = ("acceptor_gain", "acceptor_loss", "donor_gain", "donor_loss")

# By strand (plus, minus): the class of each event's site.
_CLASSES = np.array(
    [[SPLICE_CLASSES.index(event.partition("_")[0] + strand) for event in EVENTS] for strand in "+-"],
    np.int32,
)
_SIGNS = np.array([1, -1, 1, -1], np.float32)  # by event


class Strongest(NamedTuple):
    """The largest change of each kind of event in each gene."""

    sizes: Any  # float32 (G, 4), not negative
    places: Any  # int32 (G, 4): index among the positions read; without meaning where the size is 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpliceEvents(Scorer):
    """The strongest gain and loss of an acceptor and of a donor, each with its position.

    Gains are positive, losses negative. Each gene that the variant overlaps has one row per kind of event, with its
    score in the track of that kind of site on the gene's strand. Where nothing is gained, or lost, the score is 0 and
    has no position. Of equal changes the first on the plus strand counts.

    Where SPLICE_SITES reads, this reads; but what an insertion pushes out of the window's right end is no loss here
    (nothing is pushed out where the alternate allele has two windows).
    """

    name: str = "SPLICE_EVENTS"
    output: Output = Output.SPLICE_SITES

    needs_genes = True
    is_signed = True

    def footprint(self, site: Site) -> Footprint | None:
        overlapping = site.overlapping_genes()
        genes = [gene for gene in overlapping if gene.strand in ("+", "-")]
        if not genes:
            return None
        # All bodies, so that the signal is predicted once for this and for SPLICE_SITES.
        positions = positions_within(gene_bodies(overlapping), site.window)
        pushed_out_bp = 0 if site.has_two_windows else max(site.allele.inserted_bp, 0)
        last0 = site.window.end0 - pushed_out_bp
        bodies = np.minimum(gene_bodies(genes), last0)
        return Footprint(
            positions=pad_positions(positions),
            masks={
                "body": pad_genes(index_ranges(bodies, positions, site.window)),
                "classes": pad_genes(np.array([_CLASSES["+-".index(gene.strand)] for gene in genes])),
            },
            genes=tuple(genes),
            aligned=True,
        )

    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Strongest:
        """`body` is int32 (G, 2), a range of the positions read; `classes` is int32 (G, 4), a track per event."""
        index = jnp.arange(reference.shape[0])

        def strongest(gene: tuple[Any, Any]) -> Strongest:
            body, classes = gene
            inside = (index >= body[0]) & (index < body[1])
            change = (alternate[:, classes] - reference[:, classes]) * _SIGNS
            change = jnp.where(inside[:, None], change, 0)
            places = change.argmax(axis=0)
            return Strongest(jnp.take_along_axis(change, places[None], axis=0)[0], places)

        return jax.lax.map(strongest, (masks["body"], masks["classes"]))

    def rows(self, scores: Strongest, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        count = len(footprint.genes)
        sizes, places = scores.sizes[:count], scores.places[:count]
        found = sizes > 0
        values = np.full((count, len(EVENTS), len(tracks)), np.nan, np.float32)
        scored = np.where(found, sizes * _SIGNS, np.float32(0))
        np.put_along_axis(values, footprint.masks["classes"][:count, :, None], scored[..., None], axis=2)
        positions = np.where(found, footprint.positions[places] + np.int64(site.window.start0), -1)
        return ScoreMatrix(
            scorer=self.name,
            output=self.output,
            values=values.reshape(-1, len(tracks)),
            genes=tuple(gene for gene in footprint.genes for _ in EVENTS),
            positions=positions.ravel(),
            labels=EVENTS * count,
        )


SPLICE_EVENTS = SpliceEvents()
