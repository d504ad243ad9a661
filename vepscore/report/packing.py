"""Panels as short JSON values: there is one for each variant, and most are never opened.

Names that recur are numbered, and `names` of the document has them. What is None or empty is 0, and zeros at an end are
left out. `assets/panel.js` reads this.

    effect    [scorer, score, quantile, track, strand, tissue, term, gene, gene_id, row + 1, site1, start0 + 1, end0]
    site      [class, pos0 from the extent's start, reference, alternate], probabilities in thousandths
    profile   reference and alternate in thousandths of `top`

Scores and quantiles are texts, with the digits of the file.
"""

from collections.abc import Sequence
from typing import Any

from vepscore.outputs import SPLICE_CLASSES
from vepscore.report.details import Details, Effect
from vepscore.report.scene import Profile, Scene, SpliceSite

_PARTS = 1000


class Names:
    """Texts and their numbers, from 1; 0 is the empty text."""

    def __init__(self) -> None:
        self.texts = [""]
        self._numbers = {"": 0}

    def number(self, text: str) -> int:
        """The number of a text, a new one where it has none."""
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number


def pack_details(details: Details, names: Names) -> dict[str, Any]:
    """The effects, and how many were left out by scorer."""
    return {
        "effects": [pack_effect(effect, names) for effect in details.effects],
        "more": dict(details.more_tissues),
    }


def pack_effect(effect: Effect, names: Names) -> list[Any]:
    """One effect, in the order above."""
    packed = [
        names.number(effect.scorer),
        effect.text,
        effect.quantile,
        *map(names.number, (effect.track, effect.strand, effect.tissue, effect.term)),
        *map(names.number, (effect.gene, effect.gene_id)),
        0 if effect.row is None else effect.row + 1,
        effect.site1 or 0,
        0 if effect.start0 is None else effect.start0 + 1,
        effect.end0 or 0,
    ]
    while not packed[-1]:
        packed.pop()
    return packed


def pack_scene(scene: Scene, names: Names) -> dict[str, Any]:
    """A scene; intervals are [start0, end0]."""
    return {
        "chrom": scene.chrom,
        "name": scene.name,
        "variant": scene.variant,
        "extent": scene.extent,
        "focus": scene.focus,
        "genes": [
            {"name": gene.name, "strand": gene.strand, "transcripts": gene.transcripts, "more": gene.more}
            for gene in scene.genes
        ],
        "shifts": [
            {"kind": one.kind, "pos0": one.pos0, "gene": one.gene, "text": one.text} for one in scene.shifts
        ],
        "junctions": [pack_effect(one, names) for one in scene.junctions],
        "sites": [_pack_site(site, scene.extent.start0) for site in scene.sites],
        "profiles": [_pack_profile(profile) for profile in scene.profiles],
        "predicted": scene.predicted,
        "notes": scene.notes,
    }


def _pack_site(site: SpliceSite, start0: int) -> list[int]:
    kind = SPLICE_CLASSES.index(site.kind + site.strand)
    return [kind, site.pos0 - start0, *_in_parts((site.reference, site.alternate), 1.0)]


def _pack_profile(profile: Profile) -> dict[str, Any]:
    top = max(*profile.reference, *profile.alternate)
    return {
        "output": profile.output,
        "track": profile.track,
        "tissue": profile.tissue,
        "start0": profile.start0,
        "top": float(f"{top:.4g}"),
        "reference": _in_parts(profile.reference, top),
        "alternate": _in_parts(profile.alternate, top),
    }


def _in_parts(values: Sequence[float], top: float) -> list[int]:
    return [round(_PARTS * value / top) if top > 0 else 0 for value in values]
