"""Rank scored alleles by predicted effect, and count the excluded alleles by reason."""

import collections
import dataclasses
import functools
import heapq
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

import vepscore
from vepscore.errors import InputError, UsageError
from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Annotation
from vepscore.genome.consistency import check_files, check_record_contigs
from vepscore.genome.fasta import Reference
from vepscore.genome.gene_ids import without_version
from vepscore.io.fields import EVENTS_SCORER
from vepscore.io.lines import STDIN
from vepscore.report.events import EventCall, SiteChange, call_event, describe_event
from vepscore.report.filters import GeneList
from vepscore.report.from_vcf import VcfAlleles
from vepscore.report.gene_model import GeneModel, read_gene_model
from vepscore.report.modalities import Modality, find_modality
from vepscore.report.scored_alleles import AlleleReader, Entry, Measure, ScoredAllele, measure, site_changes

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

# An annotated VCF or BCF, "-" for standard input; a long table as a Parquet file or as a DataFrame.
Source: TypeAlias = Union[str, Path, "pd.DataFrame"]

_PARQUET_MAGIC = b"PAR1"
_NO_ENTRY = Entry(scorer="", score=math.nan)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankingOptions:
    """The source of a ranking, and the filters on its alleles, as users write them."""

    source: Source
    by: str = "splice"  # name of a modality
    annotation: Path | None = None  # GTF, for the events
    reference: Path | None = None  # FASTA, checked against the other files
    genes: Sequence[str] | None = None
    regions: Sequence[str] | None = None
    max_af: str | None = None
    sample: str | None = None
    tissue: str | None = None
    top: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RankedAllele:
    """An allele and its rank."""

    rank: int  # from 1
    allele: ScoredAllele
    measure: Measure
    event: EventCall | None = None  # None without an annotation, or without splice events of the gene
    event_gene: str = ""  # name of the gene that the event is about

    @property
    def strongest(self) -> Entry:
        """The entry that contributes most; an empty one if there is none."""
        return self.measure.parts[0] if self.measure.parts else _NO_ENTRY

    @property
    def gene(self) -> str:
        """Name of the gene of the value."""
        return self.measure.gene or self.strongest.gene

    @property
    def event_in_words(self) -> str:
        """The event in one line; "" without one."""
        return describe_event(self.event) if self.event else ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranking:
    """The ranked alleles, and an account of all others."""

    modality: Modality
    rows: tuple[RankedAllele, ...]
    unscored: tuple[ScoredAllele, ...]  # pass the filters, but their status is not OK or NOT_APPLICABLE
    alleles: int  # in the source
    excluded: dict[str, int]  # reason → alleles, most first; without those of `unscored`
    provenance: tuple[str, ...]  # lines of the source that say how the scores were made


def rank(options: RankingOptions) -> Ranking:
    """Rank alleles by the size of their score; of equal ones the first in the source comes first.

    Raises:
        VepscoreError: a file cannot be read or lacks what is requested, or the options do not fit it.
    """
    modality = find_modality(options.by)
    genes = GeneList(options.genes) if options.genes else None
    source = _open(options, modality)
    chosen, unscored = _select(source, modality, genes, options.top)
    annotation = Annotation.from_gtf(options.annotation) if options.annotation else None
    reference = Reference(options.reference) if options.reference else None
    check_files(header=source.contigs, reference=reference, annotation=annotation)
    contigs = collections.Counter(allele.chrom for allele, _ in chosen)
    check_record_contigs(contigs, unit="alleles", reference=reference, annotation=annotation)
    rows = _rows(chosen, modality, _EventCaller(annotation) if annotation else None)
    if problem := source.regions.find_unknown():
        log.warning("%s", problem)
    if genes and genes.unseen:
        log.info("no score of %s", ", ".join(genes.unseen))
    return Ranking(
        modality=modality,
        rows=tuple(rows),
        unscored=tuple(unscored),
        alleles=len(rows) + len(unscored) + sum(source.excluded.values()),
        excluded=dict(sorted(source.excluded.items(), key=lambda item: (-item[1], item[0]))),
        provenance=(f"##rankVersion={vepscore.__version__}", *source.provenance),
    )


Candidate = tuple[ScoredAllele, Measure]


def _select(
    source: AlleleReader, modality: Modality, genes: GeneList | None, top: int | None
) -> tuple[list[Candidate], list[ScoredAllele]]:
    """Return the strongest alleles, at most `top` of them, and those that were not scored; count the others."""
    unscored: list[ScoredAllele] = []
    count = 0

    def find_candidates() -> Iterator[Candidate]:
        nonlocal count
        for allele in source:
            if allele.status == Status.NOT_APPLICABLE:  # most of a whole genome: counted, not listed
                source.excluded["without an applicable scorer"] += 1
            elif allele.status != Status.OK:
                unscored.append(dataclasses.replace(allele, read_entries=tuple))
            elif genes and not any([genes.has(entry.gene_id, entry.gene) for entry in allele.read_entries()]):
                source.excluded["without a score of the genes"] += 1
            else:
                found = (None if genes else allele.stated) or measure(allele, modality, genes)
                if math.isnan(found.value):
                    source.excluded[f"no {modality.field}"] += 1
                else:
                    count += 1
                    yield allele, found

    if top is None:
        return sorted(find_candidates(), key=_order), unscored
    chosen = heapq.nsmallest(top, find_candidates(), key=_order)
    if count > len(chosen):
        source.excluded["below the top"] += count - len(chosen)
    return chosen, unscored


def _order(candidate: Candidate) -> tuple[float, int, int]:
    allele, found = candidate
    return -abs(found.value), allele.record, allele.alt_index


def _rows(
    chosen: Iterable[Candidate], modality: Modality, caller: "_EventCaller | None"
) -> list[RankedAllele]:
    rows = []
    for place, (allele, found) in enumerate(chosen, start=1):
        if not found.parts:  # so far only the stated value was read
            found = measure(allele, modality)
        event, gene = caller.call(allele, found) if caller else (None, "")
        rows.append(RankedAllele(rank=place, allele=allele, measure=found, event=event, event_gene=gene))
    if caller and rows and all(row.event is None for row in rows):
        log.warning("no event can be called: %s", caller.problem)
    return rows


class _EventCaller:
    """Call the splice events of alleles."""

    def __init__(self, annotation: Annotation) -> None:
        self.problem = ""  # why the last event that could not be called could not
        self._annotation = annotation
        self._model = functools.lru_cache(maxsize=256)(functools.partial(read_gene_model, annotation))

    def call(self, allele: ScoredAllele, found: Measure) -> tuple[EventCall | None, str]:
        """Return the event and the gene's name: of the gene of the score, else of the one that changes most.

        If the gene has several loci, the one that changes most counts.
        """
        entries = allele.read_entries()
        names = {entry.gene_id: entry.gene for entry in entries if entry.scorer == EVENTS_SCORER}
        loci = site_changes(entries)
        if not loci:
            self.problem = f"the file has no scores of {EVENTS_SCORER}"
            return None, ""
        gene_id, number = max(
            ((gene, number) for gene, own in loci.items() for number in range(len(own))),
            key=lambda place: (names[place[0]] == found.gene, _strongest(loci[place[0]][place[1]])),
        )
        model = self._find(allele, gene_id, number, len(loci[gene_id]))
        if model is None:
            self.problem = f"the annotation has no exons of {gene_id} at the variants"
            return None, ""
        return call_event(loci[gene_id][number], model, allele.junctions.get(gene_id, ())), names[gene_id]

    def _find(self, allele: ScoredAllele, gene_id: str, number: int, count: int) -> GeneModel | None:
        """Return the gene's exons at one of its `count` scored loci; None if none overlaps the allele."""
        start0 = allele.pos1 - 1
        end0 = start0 + max(len(allele.ref), len(allele.alt))
        wanted = without_version(gene_id)
        overlapping = self._annotation.genes_overlapping(allele.chrom, start0, end0)
        found = [one for one in overlapping if without_version(one.gene_id) == wanted and one.strand != "."]
        if not found:
            return None
        return self._model(found[number if len(found) == count else 0])


def _strongest(changes: Iterable[SiteChange]) -> float:
    return max((abs(change.score) for change in changes), default=0.0)


def _open(options: RankingOptions, modality: Modality) -> AlleleReader:
    """Open the alleles of the source.

    Raises:
        UsageError: an option is malformed, or for the other kind of source.
    """
    regions = options.regions or ()
    if not is_long_table(options.source):
        if options.tissue is not None:
            raise UsageError(
                f"--tissue with {options.source}\nan annotated VCF has only the largest score over all tissues",
                hint="rank the long table of the same run, which `vepscore score -o OUT.parquet` writes",
            )
        path = str(options.source)
        return VcfAlleles(path, modality, regions=regions, max_af=options.max_af, sample=options.sample)
    from vepscore.io.long_table_reader import LongTableReader
    from vepscore.report.from_long_table import LongTableAlleles

    table = LongTableReader(options.source)
    for name, value in (("--max-af", options.max_af), ("--sample", options.sample)):
        if value is not None:
            raise UsageError(
                f"{name} with {table.name}\na long table has neither INFO fields nor genotypes",
                hint="rank the annotated VCF instead",
            )
    return LongTableAlleles(table, modality, regions=regions, tissue=options.tissue)


def is_long_table(source: Source) -> bool:
    """Return whether a source is a long table: by the content of a file, by the name of a stream.

    Raises:
        InputError: the file cannot be opened.
    """
    if not isinstance(source, str | Path):
        return True
    path = Path(source)
    if str(source) == STDIN or not path.is_file():
        return path.suffix == ".parquet"
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    except OSError as error:
        raise InputError(f"{source}\ncannot be opened: {error.strerror}") from error
