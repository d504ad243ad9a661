"""Contacts: the mean absolute change of contacts between the variant's bin and the window.

CONTACT_MAPS   mean over the bins of the window of |alt - ref|
"""

import dataclasses
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.outputs import Output, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContactMaps(Scorer):
    """Average the absolute change along the variant's row of the contact map.

    The map is symmetric, so this row equals the column that the official code takes.

    Source: `ContactMapScorer` of alphagenome_research.
    """

    name: str = "CONTACT_MAPS"
    output: Output = Output.CONTACT_MAPS
    info_field: str | None = "VS_CONTACT"

    def footprint(self, site: Site) -> Footprint:
        row = (site.allele.pos0 - site.window.start0) // site.resolution_bp(self.output)
        return Footprint(positions=pad_positions(np.array([row])), masks={})

    def score(
        self,
        reference: Float32[Array, "positions bins tracks"],
        alternate: Float32[Array, "positions bins tracks"],
        masks: Mapping[str, Array],
    ) -> Float32[Array, " tracks"]:
        return jnp.abs(alternate[0] - reference[0]).mean(axis=0)

    def rows(
        self, scores: Float32[np.ndarray, " tracks"], footprint: Footprint, site: Site, tracks: Tracks
    ) -> ScoreMatrix:
        return ScoreMatrix(scorer=self.name, output=self.output, values=scores[None], genes=(None,))


CONTACT_MAPS = ContactMaps()
