"""The alleles of a long table: one row per allele, scorer, gene and track in, one allele at a time out."""

import collections
import contextlib
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vepscore.errors import InputError
from vepscore.genome.alleles import Status
from vepscore.genome.consistency import ContigSource
from vepscore.io.fields import EVENT_KINDS, EVENTS_SCORER
from vepscore.io.tidy import RENAMED, current_names, read_columns
from vepscore.outputs import SPLICE_CLASSES
from vepscore.paths import utf8_path
from vepscore.report.events import JunctionChange
from vepscore.report.filters import RegionFilter, RegionFilters
from vepscore.report.modalities import JUNCTIONS_SCORER, WITHOUT_TISSUE, Modality
from vepscore.report.scored_alleles import Entry, ScoredAllele

log = logging.getLogger(__name__)

_ALLELE = ("record", "alt_index", "chrom", "pos", "ref", "alt")
_TEXTS = ("variant_scorer", "gene_id", "gene_name", "track_name", "ontology_curie", "biosample_name")
_PLACES = ("junction_Start", "junction_End", "site_pos", "track_index")
_SCORES = ("raw_score", "quantile_score")
_COLUMNS = (*_ALLELE, *_TEXTS, *_PLACES, *_SCORES)
_SHOWN_TISSUES = 20


class ParquetAlleles:
    """Iterates once over the alleles of a long table that pass the filters. It has scored alleles only.

    Args:
        path: what `vepscore score -o OUT.parquet` wrote.
        modality: whose scorers are read.
        regions: only alleles that overlap one of these; all where empty.
        tissue: only tracks of this biosample or ontology term, in any case; those of SPLICE_SITES, which are of no
            tissue, count all the same.

    Attributes:
        excluded: reason → alleles.
        provenance: lines that say how the scores were made.
        regions: those that alleles are taken from.
        contigs: None: the table declares none.
    """

    def __init__(
        self,
        path: str | Path,
        modality: Modality,
        *,
        regions: Sequence[RegionFilter] = (),
        tissue: str | None = None,
    ) -> None:
        self.excluded: collections.Counter[str] = collections.Counter()
        self.provenance: tuple[str, ...] = ()
        self.contigs: ContigSource | None = None
        self.regions = RegionFilters(regions)
        self._path, self._modality, self._tissue = path, modality, tissue
        self._tissues: set[tuple[str, str]] = set()  # biosample and ontology term of the modality's tracks
        self._matched = False

    def __iter__(self) -> Iterator[ScoredAllele]:
        """The alleles, in the order of the table.

        Raises:
            InputError: it is no long table, or no track is of the tissue.
        """
        with _open(self._path) as file:
            metadata = file.schema_arrow.metadata or {}
            self.provenance = tuple(
                f"##{key.decode()}={value.decode('utf-8', 'replace')}"
                for key, value in metadata.items()
                if key.startswith(b"vepscore")
            )
            rest: pd.DataFrame | None = None
            for group in range(file.num_row_groups):
                with _reading(self._path):
                    table = read_columns(file, group, _COLUMNS)
                if not table.num_rows:
                    continue
                rows = pd.concat([rest, self._needed(table)]) if rest is not None else self._needed(table)
                # The last allele may go on in the next group.
                last = (rows["record"] == rows["record"].iloc[-1]) & (
                    rows["alt_index"] == rows["alt_index"].iloc[-1]
                )
                rest = rows[last]
                yield from self._alleles(rows[~last])
            if rest is not None:
                yield from self._alleles(rest)
        self._check_tissue()

    def _needed(self, table: pa.Table) -> pd.DataFrame:
        """The rows of the modality's scorers and of splice events; of other alleles one row, without a score."""
        scorers = {*self._modality.weights, EVENTS_SCORER, JUNCTIONS_SCORER}
        table = table.set_column(
            table.schema.get_field_index("variant_scorer"),
            "variant_scorer",
            table["variant_scorer"].cast(pa.string()),
        )
        wanted = pc.is_in(table["variant_scorer"], pa.array(sorted(scorers)))
        rows = _frame(table.filter(wanted))
        if self._tissue is not None:
            rows = rows[self._is_of_tissue(rows)]
        alleles = _frame(table.select(_ALLELE)).drop_duplicates(["record", "alt_index"])
        rows = pd.concat([alleles, rows]).fillna(dict.fromkeys(_TEXTS, ""))
        return rows.sort_values(["record", "alt_index"], kind="stable")

    def _is_of_tissue(self, rows: pd.DataFrame) -> pd.Series:
        names = rows[["biosample_name", "ontology_curie"]].fillna("")
        ours = rows["variant_scorer"].isin(self._modality.weights.keys() - set(WITHOUT_TISSUE))
        self._tissues |= set(names[ours].drop_duplicates().itertuples(index=False, name=None))
        term = self._tissue.casefold()
        found = (names["biosample_name"].str.casefold() == term) | (
            names["ontology_curie"].str.casefold() == term
        )
        self._matched |= bool((found & ours).any())
        return found | rows["variant_scorer"].isin(WITHOUT_TISSUE)

    def _check_tissue(self) -> None:
        if self._tissue is None or self._matched:
            return
        tissues = sorted(" ".join(filter(None, names)) for names in self._tissues if any(names))
        near = [name for name in tissues if self._tissue.casefold() in name.casefold()] or tissues
        shown = "; ".join(near[:_SHOWN_TISSUES]) + ("; …" if len(near) > _SHOWN_TISSUES else "")
        raise InputError(
            f"{self._path}\n--tissue {self._tissue} is the name or term of no track of "
            f"{', '.join(self._modality.weights)}; there {'are' if tissues else 'is none of any tissue'} "
            f"{len(tissues) or ''}\n{shown}".rstrip(),
            hint="give a biosample's whole name, or an ontology term such as UBERON:0000955",
        )

    def _alleles(self, rows: pd.DataFrame) -> Iterator[ScoredAllele]:
        for _, group in rows.groupby(["record", "alt_index"], sort=True):
            first = group.iloc[0]
            if not self.regions.include(first["chrom"], first["pos"], first["ref"]):
                self.excluded["outside the regions"] += 1
                continue
            scored = group[group["raw_score"].notna()]
            entries = tuple(_entries(scored))
            yield ScoredAllele(
                record=int(first["record"]),
                alt_index=int(first["alt_index"]),
                chrom=first["chrom"],
                pos1=int(first["pos"]),
                id=".",
                ref=first["ref"],
                alt=first["alt"],
                status=Status.OK.value,
                read_entries=lambda entries=entries: entries,
                junctions=_junctions(scored),
            )


def _entries(rows: pd.DataFrame) -> Iterator[Entry]:
    """The largest row of each scorer and gene, the first of equals; of splice events every row."""
    is_event = rows["variant_scorer"] == EVENTS_SCORER
    others = rows[~is_event].reset_index(drop=True)
    sizes = others["raw_score"].abs()
    largest = sizes.groupby([others["variant_scorer"], others["gene_id"]], sort=False).idxmax()
    for row in others.loc[largest].itertuples():
        yield _entry(row, row.track_name)
    for number, row in enumerate(rows[is_event].itertuples()):
        if math.isnan(row.site_pos):  # only its place among the rows of the locus counts
            yield _entry(row, EVENT_KINDS[number % len(EVENT_KINDS)])
        else:
            site = SPLICE_CLASSES[int(row.track_index)][:-1]
            kind = "gain" if row.raw_score > 0 else "loss"
            yield _entry(row, f"{site}_{kind}:{int(row.site_pos)}")


def _entry(row: Any, track: str) -> Entry:
    return Entry(
        scorer=row.variant_scorer,
        gene_id=row.gene_id,
        symbol=row.gene_name,
        score=float(row.raw_score),
        track=track,
        tissue=row.biosample_name,
        quantile=float(row.quantile_score),
    )


def _junctions(rows: pd.DataFrame) -> dict[str, tuple[JunctionChange, ...]]:
    """Each gene's junctions, each with its largest change."""
    junctions = rows[rows["variant_scorer"] == JUNCTIONS_SCORER]
    largest = junctions.groupby(["gene_id", "junction_Start", "junction_End"])["raw_score"].max()
    by_gene: dict[str, tuple[JunctionChange, ...]] = {}
    for (gene_id, start0, end0), score in largest.items():
        change = JunctionChange(int(start0), int(end0), float(score))
        by_gene[gene_id] = (*by_gene.get(gene_id, ()), change)
    return by_gene


def _frame(table: pa.Table) -> pd.DataFrame:
    """Texts as objects rather than as categories, which differ from row group to row group."""
    frame = table.to_pandas()
    return frame.astype({name: object for name in frame.select_dtypes("category")})


def _open(path: str | Path) -> pq.ParquetFile:
    with _reading(path):
        file = pq.ParquetFile(utf8_path(path))
    names = file.schema_arrow.names
    missing = [name for name in _COLUMNS if name not in current_names(names)]
    if missing:
        file.close()
        raise InputError(
            f"{path}\nhas no column {', '.join(missing)}; expected a long table of this version of vepscore",
            hint="score the VCF again with `-o OUT.parquet`, or rank the annotated VCF",
        )
    if old := [name for name in names if name in RENAMED]:
        log.warning(
            "%s: columns of an earlier release, read in this one only: %s",
            path,
            ", ".join(f"{name} (now {RENAMED[name]})" for name in old),
        )
    return file


@contextlib.contextmanager
def _reading(path: str | Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path}\ncannot be read as Parquet: {error}", hint="copy it again; or rank the annotated VCF"
        ) from error
