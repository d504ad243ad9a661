"""The content of a report as plain values, for the template and the scripts of the page."""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Annotation
from vepscore.io.drawing import to_svg
from vepscore.io.fields import format_float
from vepscore.io.lines import STDIN
from vepscore.io.long_table_reader import LongTableReader
from vepscore.report.details import Details, details_of_entries, read_details
from vepscore.report.modalities import ACTIVE_SUFFIX, SCORER_WORDS, Modality, describe_scorer
from vepscore.report.picture import draw_picture
from vepscore.report.ranking import RankedAllele, Ranking, is_long_table
from vepscore.report.ranking_table import exclusions_in_words, variant_in_words
from vepscore.report.scene import Scene, Signals, compose_scene
from vepscore.report.scored_alleles import Entry, ScoredAllele

TERMS_KEY = "vepscoreTerms"
MUST_AGREE = ("vepscoreCheckpoint", "vepscoreOrganism", "vepscoreReference")
MAY_DIFFER = tuple(
    f"vepscore{name}" for name in ("Window", "Align", "Strand", "Alleles", "Precision", "Rotary")
)
_NO_STATUS = "the file has no status for it: it was not scored"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAllele:
    """One variant of a report."""

    row: RankedAllele
    details: Details
    scene: Scene


def collect_alleles(
    source: str, ranking: Ranking, annotation: Annotation | None, signals: Iterable[Signals]
) -> list[ReportedAllele]:
    """Collect what a report shows of the ranked alleles.

    Args:
        source: the file that was ranked.
        ranking: the ranked alleles.
        annotation: source of the genes in the pictures; None: draw none.
        signals: predictions around each ranked allele, in order.
    """
    reported = []
    for row, details, around in zip(ranking.rows, _read_details(source, ranking.rows), signals, strict=True):
        scene = compose_scene(
            row.allele,
            details,
            gene=row.event_gene or row.gene,
            region=row.event.region if row.event else None,
            annotation=annotation,
            signals=around,
        )
        reported.append(ReportedAllele(row=row, details=details, scene=scene))
    return reported


def _read_details(source: str, rows: Sequence[RankedAllele]) -> list[Details]:
    if not is_long_table(source):
        return [details_of_entries(row.allele) for row in rows]
    keys = [(row.allele.record, row.allele.alt_index) for row in rows]
    found = read_details(LongTableReader(source), keys)
    return [found[key] for key in keys]


def build_document(
    source: str,
    ranking: Ranking,
    alleles: Sequence[ReportedAllele],
    *,
    tracks: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the values that the template of the page takes.

    Args:
        source: the file that was ranked.
        ranking: the ranked alleles.
        alleles: the same with their details.
        tracks: how the tracks in the pictures were predicted, key to value; None: there are none.
    """
    facts = read_facts(ranking)
    scorers = {effect.scorer for one in alleles for effect in one.details.effects}
    names = {"": 0}
    return {
        "name": "standard input" if source == STDIN else Path(source).name,
        "field": ranking.modality.field,
        "by": ranking.modality.name,
        "alleles": ranking.alleles,
        "excluded": exclusions_in_words(ranking),
        "has_ids": any(one.row.allele.id != "." for one in alleles),
        "has_quantiles": any(_quantile(one.row) for one in alleles),
        "has_events": any(one.row.event for one in alleles),
        "has_rows": is_long_table(source),
        "largest": max((abs(one.row.measure.value) for one in alleles), default=0.0),
        "rows": [_cells(one) for one in alleles],
        "panels": [_panel(one, names) for one in alleles],
        "names": list(names),
        "words": {name: describe_scorer(name) for name in sorted(scorers)},
        "order": sorted(scorers, key=lambda name: _scorer_order(name, ranking.modality)),
        "unscored": [_unscored(allele) for allele in ranking.unscored],
        "terms": facts.get(TERMS_KEY, ""),
        "provenance": list(facts.items()),
        "tracks": list((tracks or {}).items()),
        "differences": differing_facts(facts, tracks or {}),
        "settings": differing_facts(facts, tracks or {}, MAY_DIFFER),
    }


def read_facts(ranking: Ranking) -> dict[str, str]:
    """Return how the scores were made, key to value."""
    pairs = (line.removeprefix("##").partition("=") for line in ranking.provenance)
    return {key: value for key, _, value in pairs}


def differing_facts(
    scores: Mapping[str, str], tracks: Mapping[str, str], keys: Iterable[str] = MUST_AGREE
) -> list[str]:
    """Return, in words, how the predictions of the tracks differ from those of the scores.

    Files are compared by their hashes.
    """
    return [
        f"{key.removeprefix('vepscore').lower()}: tracks {tracks[key]}, scores {scores[key]}"
        for key in keys
        if key in tracks and key in scores and _identity(tracks[key]) != _identity(scores[key])
    ]


def _identity(fact: str) -> str:
    """Return the hash of a file; of other facts the text."""
    return fact.rpartition("sha256:")[2]


def _cells(one: ReportedAllele) -> dict[str, Any]:
    """Return a row of the page's table."""
    row = one.row
    return {
        "rank": row.rank,
        "variant": one.scene.name,
        "chrom": row.allele.chrom,
        "pos1": row.allele.pos1,
        "id": "" if row.allele.id == "." else row.allele.id,
        "gene": row.gene,
        "value": format_float(row.measure.value, missing=""),
        "size": abs(row.measure.value),
        "quantile": _quantile(row),
        "event": str(row.event.kind) if row.event else "",
        "event_gene": row.event_gene,
        "tissue": row.strongest.tissue,
        "scorer": row.strongest.scorer,
    }


def _scorer_order(name: str, modality: Modality) -> tuple[bool, bool, int, str]:
    """Sort the scorers of the modality first, and those that do not compare alleles last."""
    known = list(SCORER_WORDS)
    place = known.index(name) if name in known else len(known)
    return name.endswith(ACTIVE_SUFFIX), name not in modality.weights, place, name


def _quantile(row: RankedAllele) -> str:
    return format_float(row.measure.quantile, missing="")


def _panel(one: ReportedAllele, names: dict[str, int]) -> dict[str, Any]:
    """Return the data that the page's script builds a panel from."""
    row, scene = one.row, one.scene
    return {
        "record": row.allele.record,
        "alt_index": row.allele.alt_index,
        "ref": row.allele.ref,
        "alt": row.allele.alt,
        "event": row.event_in_words,
        "event_gene": row.event_gene,
        "effects": [pack_entry(entry, names) for entry in one.details.effects],
        "more": dict(one.details.more_tissues),
        "pictures": [to_svg(draw_picture(scene, view)) for view in (scene.focus, scene.extent)],
        "has_tracks": scene.predicted is not None,
    }


def pack_entry(entry: Entry, names: dict[str, int]) -> list[Any]:
    """Return a score as a short JSON value, because a page has many and most are never seen.

    Texts that recur are numbered, in the order of `names`, from 1; None and empty values are 0, and zeros at the end
    are dropped. `assets/panel.js` unpacks this:

        effect    [scorer, score, quantile, track, strand, tissue, term, gene, gene_id, row + 1, start0 + 1, end0]

    Scores and quantiles are texts with the digits of the file.
    """

    def number(text: str) -> int:
        return names.setdefault(text, len(names))

    packed = [
        number(entry.scorer),
        entry.text,
        "" if math.isnan(entry.quantile) else str(np.float32(entry.quantile)),
        *map(number, (entry.track, entry.strand, entry.tissue, entry.term, entry.gene, entry.gene_id)),
        0 if entry.row is None else entry.row + 1,
        *((entry.place.start0 + 1, entry.place.end0) if entry.place else (0, 0)),
    ]
    while not packed[-1]:
        packed.pop()
    return packed


def _unscored(allele: ScoredAllele) -> dict[str, str]:
    is_known = allele.status in Status.__members__ and allele.status != Status.OK
    return {
        "variant": variant_in_words(allele),
        "id": "" if allele.id == "." else allele.id,
        "status": allele.status,
        "meaning": Status(allele.status).meaning if is_known else _NO_STATUS,
    }
