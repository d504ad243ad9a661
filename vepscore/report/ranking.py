"""Alleles in the order of what they are predicted to do, and why others have no place in it."""

import collections
import dataclasses
import functools
import heapq
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import vepscore
from vepscore.errors import InputError, UsageError
from vepscore.genome.alleles import Status
from vepscore.genome.annotation import Annotation
from vepscore.genome.consistency import check_files, check_record_contigs
from vepscore.genome.fasta import Reference
from vepscore.genome.gene_ids import without_version
from vepscore.io.fields import EVENTS_SCORER
from vepscore.io.lines import STDIN
from vepscore.report.events import EventCall, SiteChange, call_event
from vepscore.report.filters import GeneList, MaxFrequency, RegionFilter
from vepscore.report.from_vcf import VcfAlleles
from vepscore.report.gene_model import GeneModel, read_gene_model
from vepscore.report.modalities import Modality
from vepscore.report.scored_alleles import Entry, Measure, ScoredAllele, measure, site_changes

if TYPE_CHECKING:
    from vepscore.report.from_parquet import ParquetAlleles

log = logging.getLogger(__name__)

_PARQUET_MAGIC = b"PAR1"
_NOT_APPLICABLE = "without an applicable scorer"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankingOptions:
    """What a ranking is asked for."""

    source: str  # annotated VCF or BCF, "-" for standard input, or a long table in Parquet
    modality: Modality
    annotation: Path | None = None  # GTF, for the events
    reference: Path | None = None  # FASTA, to be compared with the other files
    genes: GeneList | None = None
    regions: tuple[RegionFilter, ...] = ()
    max_frequency: MaxFrequency | None = None
    sample: str | None = None
    tissue: str | None = None
    top: int | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RankedAllele:
    """An allele in its place."""

    rank: int  # from 1
    allele: ScoredAllele
    measure: Measure
    event: EventCall | None = None  # None without an annotation, or without splice events of the gene
    event_gene: str = ""  # name of the gene that the event is about


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ranking:
    """What came out."""

    modality: Modality
    rows: tuple[RankedAllele, ...]
    unscored: tuple[
        ScoredAllele, ...
    ]  # that pass the filters, with another status than OK and NOT_APPLICABLE
    alleles: int  # in the file
    excluded: dict[str, int]  # reason → alleles, most first; those of `unscored` are not among them
    provenance: tuple[str, ...]  # lines of the file that say how the scores were made


def rank(options: RankingOptions) -> Ranking:
    """Ranks the alleles of a file by the size of their score; of equals the one that comes first in the file.

    Raises:
        VepscoreError: a file cannot be read, lacks what is asked for, or the options do not fit it.
    """
    source = _open(options)
    sorter = _Sorter(options, source.excluded)
    if options.top is None:
        chosen = sorted(sorter.candidates(source), key=_order)
    else:
        chosen = heapq.nsmallest(options.top, sorter.candidates(source), key=_order)
        if sorter.count > len(chosen):
            source.excluded["below the top"] += sorter.count - len(chosen)
    annotation = Annotation.from_gtf(options.annotation) if options.annotation else None
    reference = Reference(options.reference) if options.reference else None
    check_files(header=source.contigs, reference=reference, annotation=annotation)
    places = collections.Counter(allele.chrom for allele, _ in chosen)
    check_record_contigs(places, unit="alleles", reference=reference, annotation=annotation)
    caller = _Caller(annotation) if annotation else None
    rows = []
    for place, (allele, found) in enumerate(chosen, start=1):
        if options.genes is None and not found.parts:  # only its value was read so far
            found = measure(allele, options.modality)
        event, gene = caller.call(allele, found) if caller else (None, "")
        rows.append(RankedAllele(rank=place, allele=allele, measure=found, event=event, event_gene=gene))
    if caller and rows and all(row.event is None for row in rows):
        log.warning("no event can be called: %s", caller.problem)
    if problem := source.regions.find_unknown():
        log.warning("%s", problem)
    if options.genes and (unseen := options.genes.unseen):
        log.info("no score of %s", ", ".join(unseen))
    return Ranking(
        modality=options.modality,
        rows=tuple(rows),
        unscored=tuple(sorter.unscored),
        alleles=len(rows) + len(sorter.unscored) + sum(source.excluded.values()),
        excluded=dict(sorted(source.excluded.items(), key=lambda item: (-item[1], item[0]))),
        provenance=(f"##rankVersion={vepscore.__version__}", *source.provenance),
    )


def _order(candidate: tuple[ScoredAllele, Measure]) -> tuple[float, int, int]:
    allele, found = candidate
    return -abs(found.value), allele.record, allele.alt_index


class _Sorter:
    """Parts the alleles that can be ranked from the others, and counts both."""

    def __init__(self, options: RankingOptions, excluded: collections.Counter[str]) -> None:
        self.unscored: list[ScoredAllele] = []
        self.count = 0  # of candidates
        self._modality, self._genes, self._excluded = options.modality, options.genes, excluded

    def candidates(self, alleles: Iterable[ScoredAllele]) -> Iterator[tuple[ScoredAllele, Measure]]:
        for allele in alleles:
            if allele.status == Status.NOT_APPLICABLE:  # most of a whole genome: counted, not listed
                self._excluded[_NOT_APPLICABLE] += 1
                continue
            if allele.status != Status.OK:
                self.unscored.append(dataclasses.replace(allele, read_entries=tuple))
                continue
            is_listed = self._listed(allele)
            if is_listed is not None and not any([self._genes.has(entry) for entry in allele.read_entries()]):
                self._excluded["without a score of the genes"] += 1
                continue
            is_stated = allele.stated is not None and is_listed is None
            found = allele.stated if is_stated else measure(allele, self._modality, is_listed)
            if math.isnan(found.value):
                self._excluded[f"no {self._modality.field}"] += 1
                continue
            self.count += 1
            yield allele, found

    def _listed(self, allele: ScoredAllele) -> Callable[[Entry], bool] | None:
        """Which entries count: those of the listed genes, and those about no gene; None: all."""
        genes = self._genes
        return None if genes is None else lambda entry: not entry.gene_id or genes.has(entry)


class _Caller:
    """Calls the events of alleles."""

    def __init__(self, annotation: Annotation) -> None:
        self.problem = ""  # why the last one that could not be called could not
        self._annotation = annotation
        self._model = functools.lru_cache(maxsize=256)(functools.partial(read_gene_model, annotation))

    def call(self, allele: ScoredAllele, found: Measure) -> tuple[EventCall | None, str]:
        """The event in the gene of the score, or else in that with the strongest change; and the gene's name.

        Of a gene with several loci, the one with the strongest change.
        """
        names = {
            entry.gene_id: entry.symbol for entry in allele.read_entries() if entry.scorer == EVENTS_SCORER
        }
        loci = site_changes(allele.read_entries())
        if not loci:
            self.problem = f"the file has no scores of {EVENTS_SCORER}"
            return None, ""
        gene_id, number = max(
            ((gene, number) for gene, own in loci.items() for number in range(len(own))),
            key=lambda place: (names[place[0]] == found.gene, _strongest(loci[place[0]][place[1]])),
        )
        changes = loci[gene_id][number]
        model = self._find(allele, gene_id, number, len(loci[gene_id]))
        if model is None:
            self.problem = f"the annotation has no exons of {gene_id} where the variants are"
            return None, ""
        return call_event(changes, model, allele.junctions.get(gene_id, ())), names[gene_id]

    def _find(self, allele: ScoredAllele, gene_id: str, number: int, count: int) -> GeneModel | None:
        """Return the gene's exons at one of its loci that the allele overlaps, of as many as have scores."""
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


def _open(options: RankingOptions) -> "VcfAlleles | ParquetAlleles":
    """The alleles of the source.

    Raises:
        UsageError: an option is for the other kind of file.
    """
    if is_parquet(options.source):
        for name, value in (("--max-af", options.max_frequency), ("--sample", options.sample)):
            if value is not None:
                raise UsageError(
                    f"{name} with {options.source}\na long table has neither INFO nor genotypes",
                    hint="rank the annotated VCF instead",
                )
        from vepscore.report.from_parquet import ParquetAlleles

        return ParquetAlleles(
            options.source, options.modality, regions=options.regions, tissue=options.tissue
        )
    if options.tissue is not None:
        raise UsageError(
            f"--tissue with {options.source}\nan annotated VCF has the largest score over all tissues only",
            hint="rank the long table of the same run, which `vepscore score -o OUT.parquet` writes",
        )
    return VcfAlleles(
        options.source,
        options.modality,
        regions=options.regions,
        max_frequency=options.max_frequency,
        sample=options.sample,
    )


def is_parquet(source: str) -> bool:
    """By content where it can be read twice, else by name."""
    path = Path(source)
    if source == STDIN or not path.is_file():
        return source.endswith(".parquet")
    try:
        with path.open("rb") as file:
            return file.read(len(_PARQUET_MAGIC)) == _PARQUET_MAGIC
    except OSError as error:
        raise InputError(f"{source}\ncannot be opened: {error.strerror}") from error
