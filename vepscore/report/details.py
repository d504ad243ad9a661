"""What a report says of an allele beyond its rank: its strongest rows, as they stand in the file of scores."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vepscore.io.fields import format_float
from vepscore.io.tidy import read_columns
from vepscore.outputs import SPLICE_CLASSES
from vepscore.paths import utf8_path
from vepscore.report.modalities import EVENTS_SCORER, JUNCTIONS_SCORER
from vepscore.report.scored_alleles import ScoredAllele

MAX_TISSUES = 5  # of a scorer, the strongest first
MAX_JUNCTIONS = 8

_COLUMNS = [
    *(
        "record",
        "alt_index",
        "variant_scorer",
        "gene_id",
        "gene_name",
        "junction_Start",
        "junction_End",
        "site_pos",
    ),
    *(
        "track_index",
        "track_name",
        "track_strand",
        "biosample_name",
        "ontology_curie",
        "raw_score",
        "quantile_score",
    ),
]
_TEXTS = (
    "variant_scorer",
    "gene_id",
    "gene_name",
    "track_name",
    "track_strand",
    "biosample_name",
    "ontology_curie",
)

Key = tuple[int, int]  # record and alt_index


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A row of the long table, or an entry of the INFO field VS."""

    scorer: str
    gene_id: str  # "" where the score is about no gene
    gene: str
    track: str
    strand: str  # of the track; "" where it is not known
    tissue: str
    term: str  # the tissue's ontology term
    score: float
    text: str  # the score with the digits of the file: of a float32, as many as tell it from all others
    quantile: str = ""  # "" where there is none
    row: int | None = None  # 0-based, of the long table
    start0: int | None = None  # of a junction's intron
    end0: int | None = None  # exclusive
    site1: int | None = None  # 1-based, of a splice event
    kind: str = ""  # of a splice event: donor or acceptor


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The effects of one allele."""

    effects: tuple[Effect, ...] = ()  # by scorer, each with its strongest tissues; of splice events all
    junctions: tuple[Effect, ...] = ()  # each with its strongest tissue, the strongest first
    more_tissues: Mapping[str, int] = dataclasses.field(default_factory=dict)  # by scorer, those left out

    def strongest(self, scorer: str) -> Effect | None:
        """The row of a scorer that is largest in size."""
        return next((effect for effect in self.effects if effect.scorer == scorer), None)


def details_of_entries(allele: ScoredAllele) -> Details:
    """What an annotated VCF has of an allele: the largest entry of each scorer and gene."""
    effects = []
    for entry in allele.read_entries():
        site = entry.track.partition(":")[2] if entry.scorer == EVENTS_SCORER else ""
        effect = Effect(
            scorer=entry.scorer,
            gene_id=entry.gene_id,
            gene=entry.symbol,
            track=entry.track,
            strand="",
            tissue=entry.tissue,
            term="",
            score=entry.score,
            text=format_float(entry.score),
            site1=int(site) if site.isdigit() else None,
            kind=entry.track.partition("_")[0] if site else "",
        )
        effects.append(effect)
    return _sort(effects)


def read_details(path: str | Path, chosen: Iterable[Key]) -> dict[Key, Details]:
    """The strongest rows of the chosen alleles of a long table, which is read once, a row group at a time."""
    keys = set(chosen)
    records = pa.array(sorted({record for record, _ in keys}), pa.int64())
    pieces: dict[Key, list[pd.DataFrame]] = {}
    with pq.ParquetFile(utf8_path(path)) as file:
        first_row = 0
        for group in range(file.num_row_groups):
            table = read_columns(file, group, _COLUMNS)
            rows = pa.array(np.arange(first_row, first_row + len(table)))
            first_row += len(table)
            table = table.append_column("row", rows).filter(pc.is_in(table["record"], records))
            frame = table.to_pandas()
            frame = frame.astype({name: object for name in _TEXTS}).fillna(dict.fromkeys(_TEXTS, ""))
            for key, piece in frame.groupby(["record", "alt_index"], sort=False):
                if key in keys:
                    pieces.setdefault(key, []).append(_strongest(piece))
    return {key: _of_rows(pd.concat(parts)) for key, parts in pieces.items()}


def _strongest(rows: pd.DataFrame) -> pd.DataFrame:
    """The largest row of each scorer and tissue; of events those that have a place, of junctions the largest each."""
    rows = rows[rows["raw_score"].notna()]
    is_event, is_junction = (
        rows["variant_scorer"] == EVENTS_SCORER,
        rows["variant_scorer"] == JUNCTIONS_SCORER,
    )
    sizes = rows["raw_score"].abs()
    by_tissue = sizes.groupby([rows["variant_scorer"], rows["biosample_name"]], sort=False).idxmax()
    places = rows.loc[is_junction, ["gene_id", "junction_Start", "junction_End"]]
    by_place = sizes[is_junction].groupby([places[name] for name in places], sort=False).idxmax()
    kept = rows.index.isin([*by_tissue, *by_place]) & ~is_event
    return rows[kept | (is_event & rows["site_pos"].notna())]


def _of_rows(rows: pd.DataFrame) -> Details:
    rows = _strongest(rows.reset_index(drop=True))  # once more: an allele may lie in two row groups
    return _sort([_effect(row) for row in rows.itertuples()])


def _effect(row: object) -> Effect:
    def whole(value: float) -> int | None:
        return None if np.isnan(value) else int(value)

    return Effect(
        scorer=row.variant_scorer,
        gene_id=row.gene_id,
        gene=row.gene_name,
        track=row.track_name,
        strand=row.track_strand,
        tissue=row.biosample_name,
        term=row.ontology_curie,
        score=float(row.raw_score),
        text=str(np.float32(row.raw_score)),
        quantile="" if np.isnan(row.quantile_score) else str(np.float32(row.quantile_score)),
        row=row.row,
        start0=whole(row.junction_Start),
        end0=whole(row.junction_End),
        site1=whole(row.site_pos),
        kind=SPLICE_CLASSES[row.track_index][:-1] if row.variant_scorer == EVENTS_SCORER else "",
    )


def _sort(effects: list[Effect]) -> Details:
    """Scorers in the order of the file, the effects of each by size."""
    by_scorer: dict[str, list[Effect]] = {}
    for effect in effects:
        by_scorer.setdefault(effect.scorer, []).append(effect)
    kept, more = [], {}
    for scorer, own in by_scorer.items():
        own.sort(key=lambda effect: -abs(effect.score))
        tissues = (
            own if scorer == EVENTS_SCORER else list({one.tissue: one for one in reversed(own)}.values())
        )
        tissues = sorted(tissues, key=lambda effect: -abs(effect.score))
        shown = len(tissues) if scorer == EVENTS_SCORER else MAX_TISSUES
        kept += tissues[:shown]
        if len(tissues) > shown:
            more[scorer] = len(tissues) - shown
    places = {
        (one.gene_id, one.start0, one.end0): one
        for one in reversed(by_scorer.get(JUNCTIONS_SCORER, []))
        if one.start0 is not None
    }
    junctions = sorted(places.values(), key=lambda one: (-abs(one.score), one.start0, one.end0))
    return Details(effects=tuple(kept), junctions=tuple(junctions[:MAX_JUNCTIONS]), more_tissues=more)
