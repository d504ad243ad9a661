"""Panels as short JSON values, because a page has one for each variant and most are never opened.

Texts that recur are numbered, and `names` of the document lists them. None and empty values are 0, and zeros at the end
are dropped. `assets/panel.js` unpacks this:

    effect    [scorer, score, quantile, track, strand, tissue, term, gene, gene_id, row + 1, start0 + 1, end0]

Scores and quantiles are texts with the digits of the file.
"""

from typing import Any

from vepscore.report.details import Details, Effect


class Names:
    """Texts and their numbers, from 1; 0 is the empty text."""

    def __init__(self) -> None:
        self.texts = [""]
        self._numbers = {"": 0}

    def number(self, text: str) -> int:
        """Return the number of a text, a new one if it has none."""
        number = self._numbers.setdefault(text, len(self.texts))
        if number == len(self.texts):
            self.texts.append(text)
        return number


def pack_details(details: Details, names: Names) -> dict[str, Any]:
    """Return the effects, and how many were excluded by scorer."""
    return {
        "effects": [pack_effect(effect, names) for effect in details.effects],
        "more": dict(details.more_tissues),
    }


def pack_effect(effect: Effect, names: Names) -> list[Any]:
    """Return one effect, in the order above."""
    packed = [
        names.number(effect.scorer),
        effect.text,
        effect.quantile,
        *map(names.number, (effect.track, effect.strand, effect.tissue, effect.term)),
        *map(names.number, (effect.gene, effect.gene_id)),
        0 if effect.row is None else effect.row + 1,
        *((effect.place.start0 + 1, effect.place.end0) if effect.place else (0, 0)),
    ]
    while not packed[-1]:
        packed.pop()
    return packed
