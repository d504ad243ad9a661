"""The strongest scores of an allele, with the digits that the file of scores has."""

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from vepscore.io.fields import EVENTS_SCORER
from vepscore.io.long_table_reader import LongTableReader
from vepscore.report.from_long_table import KEY, entry_of_row, site_kind, whole_alleles
from vepscore.report.gene_model import Interval
from vepscore.report.modalities import JUNCTIONS_SCORER
from vepscore.report.scored_alleles import Entry, ScoredAllele

MAX_TISSUES = 5  # of a scorer, the strongest first
MAX_JUNCTIONS = 8

_TEXTS = (
    *("variant_scorer", "output_type", "gene_id", "gene_name"),
    *("track_name", "track_strand", "biosample_name", "ontology_curie"),
)
_NUMBERS = (
    *("record", "alt_index", "junction_Start", "junction_End", "site_pos", "track_index"),
    *("raw_score", "quantile_score"),
)

Key = tuple[int, int]  # record and alt_index


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """The effects of one allele."""

    effects: tuple[Entry, ...] = ()  # by scorer, each with its strongest tissues; all splice events
    junctions: tuple[Entry, ...] = ()  # each in its strongest tissue, the strongest first
    more_tissues: Mapping[str, int] = dataclasses.field(default_factory=dict)  # number excluded, by scorer

    def strongest(self, scorer: str) -> Entry | None:
        """Return the effect of a scorer that is largest in size."""
        return next((effect for effect in self.effects if effect.scorer == scorer), None)


def details_of_entries(allele: ScoredAllele) -> Details:
    """Return the details that an annotated VCF has: the largest entry of each scorer and gene."""
    return _sort([_with_place(entry) for entry in allele.read_entries()])


def _with_place(entry: Entry) -> Entry:
    """Return the entry, with its place if it is a splice event that has one."""
    site = entry.track.partition(":")[2]
    if entry.scorer != EVENTS_SCORER or not site.isdigit():
        return entry
    place = Interval(int(site) - 1, int(site))
    return dataclasses.replace(entry, place=place, kind=entry.track.partition("_")[0])


def read_details(table: LongTableReader, chosen: Iterable[Key]) -> dict[Key, Details]:
    """Return the strongest rows of the chosen alleles. The table is read once, a row group at a time."""
    keys = set(chosen)
    records = pa.array(sorted({record for record, _ in keys}), pa.int64())
    details = {}
    for rows in whole_alleles(_frames(table, records)):
        alleles: Iterable[Any] = rows.groupby(KEY, sort=False)
        details.update({key: _of_rows(own) for key, own in alleles if key in keys})
    return details


def _frames(table: LongTableReader, records: pa.Array) -> Iterator[pd.DataFrame]:
    """Yield the rows of some records, with their number in the table, by row group."""
    first_row = 0
    for group in table.groups((*_TEXTS, *_NUMBERS)):
        rows = pa.array(np.arange(first_row, first_row + len(group)))
        first_row += len(group)
        found = group.append_column("row", rows).filter(pc.is_in(group["record"], records))
        if len(found):
            frame = found.to_pandas().astype({name: object for name in _TEXTS})
            yield frame.fillna(dict.fromkeys(_TEXTS, ""))


def _of_rows(rows: pd.DataFrame) -> Details:
    """Return the largest row of each scorer and tissue, the largest of each junction, and all placed events."""
    rows = rows[rows["raw_score"].notna()].reset_index(drop=True)
    scorers = rows["variant_scorer"]
    is_event, is_junction = scorers == EVENTS_SCORER, scorers == JUNCTIONS_SCORER
    sizes = rows["raw_score"].abs()
    by_tissue = sizes.groupby([scorers, rows["biosample_name"]], sort=False).idxmax()
    places = rows.loc[is_junction, ["gene_id", "junction_Start", "junction_End"]]
    by_place = sizes[is_junction].groupby([places[name] for name in places], sort=False).idxmax()
    kept = rows.index.isin([*by_tissue, *by_place]) & ~is_event
    chosen = rows[kept | (is_event & rows["site_pos"].notna())]
    return _sort([_entry(row) for row in chosen.itertuples()])


def _entry(row: Any) -> Entry:
    return entry_of_row(
        row,
        strand=row.track_strand,
        term=row.ontology_curie,
        row=row.row,
        place=_place(row),
        kind=site_kind(row) if row.variant_scorer == EVENTS_SCORER else "",
    )


def _place(row: Any) -> Interval | None:
    if not np.isnan(row.junction_Start):
        return Interval(int(row.junction_Start), int(row.junction_End))
    return None if np.isnan(row.site_pos) else Interval(int(row.site_pos) - 1, int(row.site_pos))


def _sort(effects: list[Entry]) -> Details:
    """Keep the order of the scorers, and sort the effects of each by size."""
    by_scorer: dict[str, list[Entry]] = {}
    for effect in effects:
        by_scorer.setdefault(effect.scorer, []).append(effect)
    kept: list[Entry] = []
    more: dict[str, int] = {}
    for scorer, own in by_scorer.items():
        own.sort(key=lambda effect: -abs(effect.score))
        if scorer == EVENTS_SCORER:
            kept += own
            continue
        tissues = _distinct(own, lambda effect: effect.tissue)
        kept += tissues[:MAX_TISSUES]
        if len(tissues) > MAX_TISSUES:
            more[scorer] = len(tissues) - MAX_TISSUES
    placed = [effect for effect in by_scorer.get(JUNCTIONS_SCORER, []) if effect.place is not None]
    junctions = _distinct(placed, lambda effect: (effect.gene_id, effect.place))
    junctions.sort(key=lambda effect: (-abs(effect.score), effect.place))
    return Details(effects=tuple(kept), junctions=tuple(junctions[:MAX_JUNCTIONS]), more_tissues=more)


def _distinct(effects: Iterable[Entry], key: Callable[[Entry], Hashable]) -> list[Entry]:
    """Return the first effect of each key."""
    first: dict[Hashable, Entry] = {}
    for effect in effects:
        first.setdefault(key(effect), effect)
    return list(first.values())
