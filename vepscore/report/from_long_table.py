"""The alleles of a long table, in the order of their rows: of a Parquet file or of a DataFrame."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from vepscore.errors import InputError
from vepscore.genome.alleles import Status
from vepscore.io.fields import EVENTS_SCORER
from vepscore.io.long_table_reader import LongTableReader
from vepscore.outputs import EVENT_KINDS, SPLICE_CLASSES, Output
from vepscore.report.events import JunctionChange
from vepscore.report.modalities import JUNCTIONS_SCORER, WITHOUT_TISSUE, Modality
from vepscore.report.scored_alleles import AlleleReader, Entry, ScoredAllele

_ALLELE = ["record", "alt_index", "chrom", "pos", "ref", "alt"]
_TEXTS = (
    *("variant_scorer", "output_type", "gene_id", "gene_name"),
    *("track_name", "ontology_curie", "biosample_name"),
)
_PLACES = ("junction_Start", "junction_End", "site_pos", "track_index")
_COLUMNS = (*_ALLELE, *_TEXTS, *_PLACES, "raw_score", "quantile_score")
KEY = ["record", "alt_index"]
_SHOWN_TISSUES = 20


class LongTableAlleles(AlleleReader):
    """The alleles of a long table. A Parquet file has scored alleles only, and declares no contigs.

    Args:
        table: the long table.
        modality: its scorers are read.
        regions: keep only alleles that overlap one of these; empty: keep all.
        tissue: keep only tracks of this biosample or ontology term, in any case. Tracks without a tissue, such as
            those of SPLICE_SITES, are kept too.

    Raises:
        UsageError: a region is malformed.
    """

    def __init__(
        self,
        table: LongTableReader,
        modality: Modality,
        *,
        regions: Iterable[str] = (),
        tissue: str | None = None,
    ) -> None:
        super().__init__(modality, regions)
        self._table = table
        self._status = ["status"] if table.has_status else []
        self._tissue = None if tissue is None else _TissueFilter(tissue, modality)

    def __iter__(self) -> Iterator[ScoredAllele]:
        self.provenance = self._table.provenance()
        groups = self._table.groups([*_COLUMNS, *self._status])
        for rows in whole_alleles(self._needed(group) for group in groups if len(group)):
            yield from self._alleles(rows)
        if self._tissue is not None:
            self._tissue.check(self._table.name)

    def _needed(self, group: pa.Table) -> pd.DataFrame:
        """Return the rows of the scorers that are read, and one row without a score for each allele."""
        scorers = [*self._modality.weights, EVENTS_SCORER, JUNCTIONS_SCORER]
        is_wanted = pc.is_in(group["variant_scorer"].cast(pa.string()), pa.array(scorers))
        rows = _frame(group.filter(is_wanted))
        if self._tissue is not None:
            rows = rows[self._tissue.keeps(rows)]
        alleles = _frame(group.select([*_ALLELE, *self._status])).drop_duplicates(KEY)
        rows = pd.concat([alleles, rows]).fillna(dict.fromkeys(_TEXTS, ""))
        return rows.sort_values(KEY, kind="stable")

    def _alleles(self, rows: pd.DataFrame) -> Iterator[ScoredAllele]:
        for _, group in rows.groupby(KEY, sort=True):
            first: Any = next(group.itertuples())
            if not self.regions.include(first.chrom, first.pos, first.ref):
                self.excluded["outside the regions"] += 1
                continue
            scored = group[group["raw_score"].notna()]
            yield ScoredAllele(
                record=int(first.record),
                alt_index=int(first.alt_index),
                chrom=first.chrom,
                pos1=int(first.pos),
                id=".",
                ref=first.ref,
                alt=first.alt,
                status=first.status if self._status else Status.OK.value,
                read_entries=functools.partial(tuple, list(_entries(scored))),
                junctions=_junctions(scored),
            )


def whole_alleles(groups: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """Yield the rows of consecutive groups so that no allele lies in two of them."""
    rest: pd.DataFrame | None = None
    for group in groups:
        rows = group if rest is None else pd.concat([rest, group])
        is_last = (rows[KEY] == rows[KEY].iloc[-1]).all(axis=1)  # it may continue in the next group
        rest = rows[is_last]
        yield rows[~is_last]
    if rest is not None:
        yield rest


class _TissueFilter:
    """Keep the rows of one tissue, and remember which tissues there are."""

    def __init__(self, tissue: str, modality: Modality) -> None:
        self._tissue, self._term = tissue, tissue.casefold()
        self._scorers = [name for name in modality.weights if name not in WITHOUT_TISSUE]
        self._modality = modality
        self._tissues: set[tuple[str, str]] = set()  # biosample and ontology term of the modality's tracks
        self._is_found = False

    def keeps(self, rows: pd.DataFrame) -> "pd.Series[bool]":
        names = rows[["biosample_name", "ontology_curie"]].fillna("")
        is_own = rows["variant_scorer"].isin(self._scorers)
        self._tissues |= set(names[is_own].drop_duplicates().itertuples(index=False, name=None))
        is_found = (names.apply(lambda column: column.str.casefold()) == self._term).any(axis=1)
        self._is_found |= bool((is_found & is_own).any())
        return is_found | rows["variant_scorer"].isin(WITHOUT_TISSUE)

    def check(self, name: str) -> None:
        """Raise InputError if no track was of the tissue."""
        if self._is_found:
            return
        tissues = sorted(" ".join(filter(None, names)) for names in self._tissues if any(names))
        near = [one for one in tissues if self._term in one.casefold()] or tissues
        shown = "; ".join(near[:_SHOWN_TISSUES]) + ("; …" if len(near) > _SHOWN_TISSUES else "")
        found = f"found {len(tissues)} tissues\n{shown}" if tissues else "found no tissue"
        raise InputError(
            f"{name}\n--tissue {self._tissue}: no track of {', '.join(self._modality.weights)} has this name "
            f"or term; {found}",
            hint="give the whole name of a biosample, or an ontology term such as UBERON:0000955",
        )


def _entries(rows: pd.DataFrame) -> Iterator[Entry]:
    """Yield the largest row of each scorer and gene, the first of equal ones, and every splice event."""
    is_event = rows["variant_scorer"] == EVENTS_SCORER
    others = rows[~is_event].reset_index(drop=True)
    sizes = others["raw_score"].abs()
    largest = sizes.groupby([others["variant_scorer"], others["gene_id"]], sort=False).idxmax()
    for row in others.loc[largest].itertuples():
        yield entry_of_row(row)
    for number, row in enumerate(rows[is_event].itertuples()):
        yield dataclasses.replace(entry_of_row(row), track=_event_name(row, number))


def _event_name(row: Any, number: int) -> str:
    """Return the event as the INFO field VS has it; an event without a position is known by its place among rows."""
    is_placed = not math.isnan(row.site_pos)
    if not is_placed and row.output_type == Output.SPLICE_SITES:
        return EVENT_KINDS[number % len(EVENT_KINDS)]
    event = f"{site_kind(row)}_{'gain' if row.raw_score > 0 else 'loss'}"
    return f"{event}:{int(row.site_pos)}" if is_placed else event


def site_kind(row: Any) -> str:
    """Return the kind of splice site that a row is about: "site" where the output does not tell them apart."""
    return SPLICE_CLASSES[int(row.track_index)][:-1] if row.output_type == Output.SPLICE_SITES else "site"


def entry_of_row(row: Any, /, **more: Any) -> Entry:
    """Return a row of the table as an entry, with more fields of it."""
    return Entry(
        scorer=row.variant_scorer,
        gene_id=row.gene_id,
        gene=row.gene_name,
        score=float(row.raw_score),
        track=row.track_name,
        tissue=row.biosample_name,
        quantile=float(row.quantile_score),
        **more,
    )


def _junctions(rows: pd.DataFrame) -> dict[str, tuple[JunctionChange, ...]]:
    """Return the junctions of each gene by its id, each with its largest change."""
    junctions = rows[rows["variant_scorer"] == JUNCTIONS_SCORER]
    largest = junctions.groupby(["gene_id", "junction_Start", "junction_End"])["raw_score"].max()
    by_gene: dict[str, tuple[JunctionChange, ...]] = {}
    for gene_id, start0, end0, score in largest.reset_index().itertuples(index=False, name=None):
        change = JunctionChange(int(start0), int(end0), float(score))
        by_gene[gene_id] = (*by_gene.get(gene_id, ()), change)
    return by_gene


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return a table whose texts are objects, because categories differ between row groups."""
    frame: pd.DataFrame = table.to_pandas()
    return frame.astype(dict.fromkeys(frame.select_dtypes("category"), object))
