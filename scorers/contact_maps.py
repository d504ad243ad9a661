"""Contacts: how much the contacts of the variant's bin change, on average over the window.

    CONTACT_MAPS   mean over the other bins of |alt - ref|

Array axes: P bins read, W bins of the window, T tracks.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from vepscore.contract import Footprint, ScoreMatrix, Scorer, Site, pad_positions
from vepscore.outputs import Output, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContactMaps(Scorer):
    """The mean absolute change along the variant's row of the contact map.

    The map is symmetric: a row is as good as the column that the official code takes.

    Source: `ContactMapScorer` of alphagenome_research.
    """

    name: str = "CONTACT_MAPS"
    output: Output = Output.CONTACT_MAPS
    info_field: str = "VS_CONTACT"

    def footprint(self, site: Site) -> Footprint:
        row = (site.allele.pos0 - site.window.start0) // self.output.resolution_bp
        return Footprint(positions=pad_positions(np.array([row])), masks={})

    def score(self, reference: Any, alternate: Any, masks: Mapping[str, Any]) -> Any:
        """float32 (T,), from rows of the map (P, W, T)."""
        return jnp.abs(alternate[0] - reference[0]).mean(axis=0)

    def rows(self, scores: Any, footprint: Footprint, site: Site, tracks: Tracks) -> ScoreMatrix:
        return ScoreMatrix(scorer=self.name, output=self.output, values=scores[None], genes=(None,))


CONTACT_MAPS = ContactMaps()
