"""Genes, exons and splice sites of an annotation, queried by position.

A GTF is parsed once; the result is kept in the cache directory as plain arrays, under the hash of the file. Queries
accept any name of a contig (chr16, 16, NC_000016.10); an unknown contig has no genes.

Coordinates are 0-based and half-open.
"""

import dataclasses
import logging
import zipfile
from pathlib import Path
from typing import Self

import numpy as np

from vepscore.errors import AnnotationError
from vepscore.genome import cache
from vepscore.genome.contigs import ContigNames
from vepscore.genome.gene_models import Exons, GeneModels, Genes, Transcripts, merge_spans
from vepscore.genome.gtf import read_gtf

log = logging.getLogger(__name__)

FORMAT_VERSION = 1  # version of the cached files; files of other versions are not read


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gene:
    """A gene at one locus."""

    gene_id: str  # as in the annotation, with its version if it has one
    name: str  # symbol; the gene_id if the annotation gives none
    type: str  # e.g. "protein_coding"; "" if unknown
    chrom: str  # contig name of the annotation
    start0: int  # 0-based
    end0: int  # exclusive
    strand: str  # "+", "-" or "."


@dataclasses.dataclass(frozen=True, kw_only=True)
class Introns:
    """Distinct introns, sorted by contig, start, end and strand. Every array has shape (N,)."""

    chrom: np.ndarray  # int32, ascending: index into the contigs
    start0: np.ndarray  # int64: first base of the intron
    end0: np.ndarray  # int64, exclusive: first base after the intron
    strand: np.ndarray  # str: "+", "-" or "."
    transcripts: np.ndarray  # int32: number of transcripts with the intron
    gene: np.ndarray  # int32: row of the gene; of the first one if several genes have the intron


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpliceSites:
    """Distinct splice sites, sorted by contig, position and class. Every array has shape (N,)."""

    chrom: np.ndarray  # int32, ascending: index into the contigs
    pos0: np.ndarray  # int64: the exon's base next to the intron
    site_class: np.ndarray  # int8: index into outputs.SPLICE_CLASSES


class Annotation:
    """The gene annotation of a genome.

    Attributes:
        path: the GTF.
        digest: sha256 of the GTF, in hex.
        contigs: the annotation's contig names, and the aliases matched so far.
        genes, transcripts, exons: the tables, which refer to one another by row.
    """

    def __init__(
        self, models: GeneModels, introns: Introns, sites: SpliceSites, *, path: Path, digest: str
    ) -> None:
        self.path, self.digest = path, digest
        self.contigs = ContigNames(models.contigs)
        self.genes, self.transcripts, self.exons = models.genes, models.transcripts, models.exons
        self._introns, self._sites = introns, sites
        for array in (sites.pos0, sites.site_class):
            array.flags.writeable = False  # queries return views of them
        self._codes = {name: code for code, name in enumerate(models.contigs)}
        self._gene_bounds, self._transcript_bounds, self._intron_bounds, self._site_bounds = (
            _bounds(table.chrom, len(models.contigs))
            for table in (self.genes, self.transcripts, introns, sites)
        )
        self._exon_bounds = _bounds(self.exons.transcript, len(self.transcripts.chrom))
        minus = self.transcripts.strand == "-"
        self._first_base = np.where(minus, self.transcripts.end0, self.transcripts.start0)

    @classmethod
    def from_gtf(cls, path: Path | str, cache_dir: Path | None = None) -> Self:
        """Read a GTF, from the cache directory if it was parsed before.

        Args:
            path: GENCODE, Ensembl or RefSeq GTF, uncompressed or gzipped.
            cache_dir: the cache directory; `cache.cache_dir()` if None.

        Raises:
            AnnotationError: the file cannot be read, is malformed or has no genes.
        """
        path, folder = Path(path), cache_dir or cache.cache_dir()
        digest = _digest(path, folder)
        cached = folder / "annotations" / f"{digest}.v{FORMAT_VERSION}.npz"
        tables = _load(cached)
        if tables is None:
            log.info("reading %s", path)
            models = read_gtf(path)
            introns = _find_introns(models)
            tables = models, introns, _find_sites(introns)
            _save(cached, *tables)
        return cls(*tables, path=path, digest=digest)

    def gene(self, row: int) -> Gene:
        """Return the gene in a row of `genes`."""
        genes = self.genes
        return Gene(
            gene_id=str(genes.gene_id[row]),
            name=str(genes.name[row]),
            type=str(genes.type[row]),
            chrom=self.contigs.names[genes.chrom[row]],
            start0=int(genes.start0[row]),
            end0=int(genes.end0[row]),
            strand=str(genes.strand[row]),
        )

    def contig_ends(self) -> dict[str, int]:
        """Return the end of the last gene or transcript on each contig, 0-based and exclusive."""
        ends = np.zeros(len(self.contigs.names), np.int64)
        for table in (self.genes, self.transcripts):
            np.maximum.at(ends, table.chrom, table.end0)
        return dict(zip(self.contigs.names, ends.tolist(), strict=True))

    def genes_overlapping(self, chrom: str, start0: int, end0: int) -> list[Gene]:
        """Return the genes that share a base with the interval, in file order.

        Source: alphagenome_research, gene_mask_extractor.py, `_extract_variant_overlapping`.
        """
        on_contig = self._on_contig(self._gene_bounds, chrom)
        starts, ends = self.genes.start0[on_contig], self.genes.end0[on_contig]
        rows = on_contig.start + np.flatnonzero((ends > start0) & (starts < end0))
        return [self.gene(row) for row in rows]

    def genes_with_start(self, chrom: str, start0: int, end0: int) -> list[tuple[Gene, np.ndarray]]:
        """Return the genes with a transcript that starts in the interval, and the exons of those transcripts.

        The start of a transcript on the minus strand is its `end0`, one past its first base, as in the official code.

        Returns:
            Genes in the order of their first such transcript in the file, each with int64 (E, 2): start and
            end of the union of the exons, ascending and disjoint, not clipped to the interval. E is 0 if the file
            gives the transcripts no exons.

        Source: alphagenome_research, gene_mask_extractor.py, `_GeneExonAnnotationExtractor`.
        """
        on_contig = self._on_contig(self._transcript_bounds, chrom)
        first = self._first_base[on_contig]
        transcripts = on_contig.start + np.flatnonzero((first >= start0) & (first < end0))
        of_transcript = self.transcripts.gene[transcripts]
        first_exons, last_exons = self._exon_bounds[transcripts], self._exon_bounds[transcripts + 1]
        exons = np.concatenate([np.zeros(0, int), *map(np.arange, first_exons, last_exons)])
        genes, index = np.unique(of_transcript, return_inverse=True)
        _, group, starts, ends = merge_spans(
            np.repeat(index, last_exons - first_exons), self.exons.start0[exons], self.exons.end0[exons]
        )
        unions = np.split(np.stack([starts, ends], axis=1), np.searchsorted(group, np.arange(1, len(genes))))
        of_gene = dict(zip(genes.tolist(), unions, strict=False))
        return [(self.gene(row), of_gene[row]) for row in dict.fromkeys(of_transcript.tolist())]

    def exons_of(self, gene: Gene) -> np.ndarray:
        """Return the distinct exons of all transcripts of a gene, sorted: int64 (E, 2), start and end."""
        exons = self._exon_rows(gene)
        return np.unique(np.stack([self.exons.start0[exons], self.exons.end0[exons]], axis=1), axis=0)

    def introns_of(self, gene: Gene) -> np.ndarray:
        """Return the distinct introns of all transcripts of a gene, sorted: int64 (I, 2), start and end."""
        exons = self._exon_rows(gene)
        _, transcript, starts, ends = merge_spans(
            self.exons.transcript[exons], self.exons.start0[exons], self.exons.end0[exons]
        )
        gap = np.flatnonzero(transcript[1:] == transcript[:-1])
        return np.unique(np.stack([ends[gap], starts[gap + 1]], axis=1), axis=0)

    def splice_sites(self, chrom: str, start0: int, end0: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the splice sites of all transcripts in the interval: the exon's base next to the intron.

        Returns:
            pos0 int64 (N,) and class int8 (N,), an index into outputs.SPLICE_CLASSES; distinct pairs, ascending.

        Source: alphagenome_research, io/splicing.py, `SpliceSiteAnnotationExtractor`.
        """
        on_contig = self._on_contig(self._site_bounds, chrom)
        pos0, site_class = self._sites.pos0[on_contig], self._sites.site_class[on_contig]
        low, high = np.searchsorted(pos0, (start0, end0))
        return pos0[low:high], site_class[low:high]

    def introns(self, chrom: str, start0: int, end0: int) -> Introns:
        """Return the distinct introns that share a base with the interval, sorted by start."""
        on_contig = self._on_contig(self._intron_bounds, chrom)
        starts, ends = self._introns.start0[on_contig], self._introns.end0[on_contig]
        rows = on_contig.start + np.flatnonzero((ends > start0) & (starts < end0))
        return Introns(**{name: column[rows] for name, column in vars(self._introns).items()})

    def _exon_rows(self, gene: Gene) -> np.ndarray:
        """Return the rows of the exons of a gene's transcripts."""
        on_contig = self._on_contig(self._gene_bounds, gene.chrom)
        same = (self.genes.gene_id[on_contig] == gene.gene_id) & (self.genes.start0[on_contig] == gene.start0)
        rows = on_contig.start + np.flatnonzero(same)
        transcripts = np.flatnonzero(np.isin(self.transcripts.gene, rows))
        return np.flatnonzero(np.isin(self.exons.transcript, transcripts))

    def _on_contig(self, bounds: np.ndarray, chrom: str) -> slice:
        name = self.contigs.match(chrom)
        if name is None:
            return slice(0, 0)
        code = self._codes[name]
        low, high = bounds[code : code + 2]
        return slice(int(low), int(high))


def _digest(path: Path, folder: Path) -> str:
    if path.exists() and not path.is_file():
        raise AnnotationError(f"{path}\nis not a regular file", hint="name a file; it is read more than once")
    try:
        return cache.file_digest(path, folder)
    except OSError as error:
        raise AnnotationError(f"{path}\ncannot be read: {error.strerror or error}") from error


def _bounds(sorted_rows: np.ndarray, count: int) -> np.ndarray:
    """Return (count + 1,): value v fills `sorted_rows` from bounds[v] to bounds[v + 1], exclusive."""
    return np.concatenate([[0], np.cumsum(np.bincount(sorted_rows, minlength=count))])


def _find_introns(models: GeneModels) -> Introns:
    """Return the gaps between the exons of each transcript; exons that overlap or touch count as one."""
    exons, transcripts = models.exons, models.transcripts
    _, transcript, start0, end0 = merge_spans(exons.transcript, exons.start0, exons.end0)
    gap = np.flatnonzero(transcript[1:] == transcript[:-1])
    transcript, start0, end0 = transcript[gap], end0[gap], start0[gap + 1]
    chrom, strand = transcripts.chrom[transcript], transcripts.strand[transcript]
    gene = transcripts.gene[transcript]
    order = np.lexsort((gene, strand, end0, start0, chrom))
    chrom, start0, end0, strand, gene = (column[order] for column in (chrom, start0, end0, strand, gene))
    first = _changes(chrom, start0, end0, strand)
    return Introns(
        chrom=chrom[first],
        start0=start0[first],
        end0=end0[first],
        strand=strand[first],
        transcripts=np.diff(first, append=len(order)).astype(np.int32),
        gene=gene[first],
    )


def _changes(*columns: np.ndarray) -> np.ndarray:
    """Return the rows that differ from the previous row in any column; the first row is included."""
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    changed = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return np.flatnonzero(np.concatenate([[True], changed]))


def _find_sites(introns: Introns) -> SpliceSites:
    plus, minus = introns.strand == "+", introns.strand == "-"
    last_base = introns.start0 - 1
    # By SPLICE_CLASSES: donor+, acceptor+, donor-, acceptor-.
    by_class = ((plus, last_base), (plus, introns.end0), (minus, introns.end0), (minus, last_base))
    chrom = np.concatenate([introns.chrom[chosen] for chosen, _ in by_class])
    pos0 = np.concatenate([position[chosen] for chosen, position in by_class])
    site_class = np.repeat(np.arange(4, dtype=np.int8), [chosen.sum() for chosen, _ in by_class])
    order = np.lexsort((site_class, pos0, chrom))
    chrom, pos0, site_class = chrom[order], pos0[order], site_class[order]
    first = _changes(chrom, pos0, site_class)
    return SpliceSites(chrom=chrom[first], pos0=pos0[first], site_class=site_class[first])


_TABLES = {
    "genes": Genes,
    "transcripts": Transcripts,
    "exons": Exons,
    "introns": Introns,
    "sites": SpliceSites,
}


def _save(path: Path, models: GeneModels, introns: Introns, sites: SpliceSites) -> None:
    tables = (models.genes, models.transcripts, models.exons, introns, sites)
    arrays = {
        f"{name}.{field}": array
        for name, table in zip(_TABLES, tables, strict=True)
        for field, array in vars(table).items()
    }
    try:
        with cache.published(path) as partial:
            np.savez(partial, contigs=np.array(models.contigs), **arrays)
    except OSError as error:
        log.warning("cannot save the parsed annotation in %s: %s", path.parent, error)


def _load(path: Path) -> tuple[GeneModels, Introns, SpliceSites] | None:
    """Return the tables that `_save` wrote; None if they are missing or damaged."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            genes, transcripts, exons, introns, sites = (
                table(**{field.name: file[f"{name}.{field.name}"] for field in dataclasses.fields(table)})
                for name, table in _TABLES.items()
            )
            contigs = tuple(file["contigs"].tolist())
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        log.warning("cannot use the cached annotation %s, reading the GTF again: %s", path, error)
        return None
    models = GeneModels(contigs=contigs, genes=genes, transcripts=transcripts, exons=exons)
    return models, introns, sites
