"""A report as plain values: what its page says, ready for the template and for the scripts in the page."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Annotation
from vepscore.io.fields import format_float
from vepscore.io.lines import STDIN
from vepscore.io.signal_files import RegionSignals
from vepscore.report.details import Details, details_of_entries, read_details
from vepscore.report.modalities import ACTIVE_SUFFIX, SCORER_WORDS, Modality, describe_scorer
from vepscore.report.packing import Names, pack_details, pack_scene
from vepscore.report.ranking import RankedAllele, Ranking, is_parquet
from vepscore.report.ranking_table import exclusions_in_words, variant_in_words
from vepscore.report.scene import Scene, compose_scene
from vepscore.report.scored_alleles import Entry, ScoredAllele
from vepscore.report.words import describe_event

TERMS_KEY = "vepscoreTerms"
MUST_AGREE = ("vepscoreCheckpoint", "vepscoreOrganism", "vepscoreReference")
MAY_DIFFER = (
    "vepscoreWindow",
    "vepscoreAlign",
    "vepscoreStrand",
    "vepscoreAlleles",
    "vepscorePrecision",
    "vepscoreRotary",
)

STATUS_MEANINGS = {
    Status.REF_MISMATCH: "REF is not what the genome has there: most often another assembly",
    Status.SYMBOLIC: "a symbolic allele, * or a breakend: no sequence to score",
    Status.NON_ACGT: "REF or ALT holds letters other than A, C, G, T",
    Status.TOO_LONG: "the allele does not fit the window",
    Status.OFF_REFERENCE: "the contig or the position is not in the genome",
    Status.N_WINDOW: "over 90 % of the window is N",
    Status.NOT_APPLICABLE: "no scorer of the run applies: most often in no gene",
    Status.FAILED: "the network gave numbers that are not finite",
}
_NO_STATUS = "the file has no status for it: it was not scored"

Signals = Sequence[RegionSignals] | str  # around a variant, or why there are none


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReportedAllele:
    """One variant of a report."""

    row: RankedAllele
    details: Details
    scene: Scene


def collect_alleles(
    source: str, ranking: Ranking, annotation: Annotation | None, signals: Iterable[Signals]
) -> list[ReportedAllele]:
    """All that is shown of the ranked alleles.

    Args:
        source: the file that was ranked.
        ranking: its order.
        annotation: for the genes.
        signals: of each row, in order.
    """
    rows = ranking.rows
    if is_parquet(source):
        found = read_details(source, ((row.allele.record, row.allele.alt_index) for row in rows))
        details = [found[row.allele.record, row.allele.alt_index] for row in rows]
    else:
        details = [details_of_entries(row.allele) for row in rows]
    return [
        ReportedAllele(row=row, details=own, scene=scene_of(row, own, annotation, around))
        for row, own, around in zip(rows, details, signals, strict=True)
    ]


def scene_of(row: RankedAllele, details: Details, annotation: Annotation | None, signals: Signals) -> Scene:
    """The picture of a ranked allele."""
    return compose_scene(
        chrom=row.allele.chrom,
        pos1=row.allele.pos1,
        ref=row.allele.ref,
        name=variant_in_words(row.allele),
        details=details,
        gene=row.event_gene or _gene(row),
        region=row.event.region if row.event else None,
        annotation=annotation,
        signals=signals,
    )


def build_document(
    source: str, ranking: Ranking, cases: Sequence[ReportedAllele], *, tracks: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The values that the template of the page takes.

    Args:
        source: the file that was ranked.
        ranking: its order.
        cases: of its rows.
        tracks: what the tracks were predicted with, key to value; None where there are none.
    """
    facts = read_facts(ranking)
    scorers = {effect.scorer for case in cases for effect in case.details.effects}
    names = Names()
    return {
        "name": "standard input" if source == STDIN else Path(source).name,
        "field": ranking.modality.field,
        "by": ranking.modality.name,
        "alleles": ranking.alleles,
        "excluded": exclusions_in_words(ranking),
        "has_ids": any(case.row.allele.id != "." for case in cases),
        "has_quantiles": any(_quantile(case.row) for case in cases),
        "has_events": any(case.row.event for case in cases),
        "has_rows": is_parquet(source),
        "largest": max((abs(case.row.measure.value) for case in cases), default=0.0),
        "rows": [_cells(case, ranking.modality) for case in cases],
        "panels": [_panel(case, names) for case in cases],
        "names": names.texts,
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
    """How the scores were made, key to value."""
    return dict(line.removeprefix("##").partition("=")[::2] for line in ranking.provenance)


def differing_facts(
    scores: Mapping[str, str], tracks: Mapping[str, str], keys: Iterable[str] = MUST_AGREE
) -> list[str]:
    """In what the tracks were predicted otherwise than the scores, in words; files are compared by their hashes."""
    return [
        f"{key.removeprefix('vepscore').lower()}: tracks {tracks[key]}, scores {scores[key]}"
        for key in keys
        if key in tracks and key in scores and _identity(tracks[key]) != _identity(scores[key])
    ]


def _identity(fact: str) -> str:
    """The hash, where there is one."""
    return fact.rpartition("sha256:")[2]


def _cells(case: ReportedAllele, modality: Modality) -> dict[str, Any]:
    """A row of the table."""
    row = case.row
    lead = row.measure.parts[0] if row.measure.parts else Entry(scorer="", score=0.0)
    return {
        "rank": row.rank,
        "variant": case.scene.name,
        "chrom": row.allele.chrom,
        "pos1": row.allele.pos1,
        "id": "" if row.allele.id == "." else row.allele.id,
        "gene": _gene(row),
        "value": format_float(row.measure.value, missing=""),
        "size": abs(row.measure.value),
        "quantile": _quantile(row),
        "event": str(row.event.kind) if row.event else "",
        "event_gene": row.event_gene,
        "tissue": lead.tissue,
        "scorer": lead.scorer,
    }


def _scorer_order(name: str, modality: Modality) -> tuple[bool, bool, int, str]:
    """Those that the alleles are ranked by, then those that compare alleles, then those that do not."""
    known = list(SCORER_WORDS)
    place = known.index(name) if name in known else len(known)
    return name.endswith(ACTIVE_SUFFIX), name not in modality.weights, place, name


def _gene(row: RankedAllele) -> str:
    return row.measure.gene or (row.measure.parts[0].symbol if row.measure.parts else "")


def _quantile(row: RankedAllele) -> str:
    return format_float(row.measure.quantile, missing="")


def _panel(case: ReportedAllele, names: Names) -> dict[str, Any]:
    """What the page's scripts build a panel from."""
    row = case.row
    return {
        "record": row.allele.record,
        "alt_index": row.allele.alt_index,
        "ref": row.allele.ref,
        "alt": row.allele.alt,
        "event": describe_event(row.event) if row.event else "",
        "event_gene": row.event_gene,
        **pack_details(case.details, names),
        "scene": pack_scene(case.scene, names),
    }


def _unscored(allele: ScoredAllele) -> dict[str, str]:
    known = allele.status in STATUS_MEANINGS
    return {
        "variant": variant_in_words(allele),
        "id": "" if allele.id == "." else allele.id,
        "status": allele.status,
        "meaning": STATUS_MEANINGS[Status(allele.status)] if known else _NO_STATUS,
    }
