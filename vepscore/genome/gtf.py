"""Read GTF files of GENCODE, Ensembl, NCBI RefSeq and UCSC.

Attributes are tokenized, so a semicolon inside quotes is text. The name of a gene is its `gene_name` or `gene`, its
type `gene_type` or `gene_biotype`. A gene without a type is protein_coding if it has a CDS: UCSC gives no types.
Features other than gene, transcript, exon and CDS are ignored.
"""

import itertools
import re
from array import array
from pathlib import Path

import numpy as np

from vepscore.errors import AnnotationError
from vepscore.genome.gene_models import STRANDS, GeneModels, GtfLines, Spans, assemble
from vepscore.genome.text_file import open_text

_STRAND_CODES = {str(strand): code for code, strand in enumerate(STRANDS)}
_FEATURES = frozenset({"gene", "transcript", "exon", "CDS"})
_NAMES = frozenset({"gene_id", "transcript_id", "gene_name", "gene", "gene_type", "gene_biotype"})
# It matches only at the start of a word and never backtracks, so its time is linear in the text.
_ATTRIBUTE = re.compile(r'(?<![^\s;"])([^\s;"]++)\s++("[^"]*+"|[^\s;"]++)')
_NOT_DATA = ("track ", "browser ")
_MAX_END1 = 2**31 - 1  # as in a VCF
_MAX_NAME = 1000  # characters; the tables reserve the length of the longest name for every name
_LEADING_IDS = re.compile(rf'gene_id "([^"]{{1,{_MAX_NAME}}})"; transcript_id "([^"]{{0,{_MAX_NAME}}})";')


def read_gtf(path: Path | str) -> GeneModels:
    """Read a GTF, uncompressed or gzipped.

    Raises:
        AnnotationError: the file cannot be read, a line is malformed (the message gives its number), or there is no
            line of a gene, transcript or exon.
    """
    path = Path(path)
    lines = _Lines()
    with open_text(path, AnnotationError) as text:
        for number, line in enumerate(text, start=1):
            if line.startswith("#"):
                continue
            try:
                lines.add(number, line)
            except ValueError as error:
                raise AnnotationError(f"{path} line {number}\n{error}", hint=_hint(line)) from error
    if not lines.gene_keys:
        raise AnnotationError(
            f"{path}\nhas no gene, transcript or exon lines", hint="use a GTF of GENCODE, Ensembl or RefSeq"
        )
    return assemble(lines.collect())


def read_comments(path: Path | str) -> list[str]:
    """Return the comment lines at the start of a GTF.

    Raises:
        AnnotationError: the file cannot be read.
    """
    with open_text(Path(path), AnnotationError) as text:
        return [line.rstrip("\n") for line in itertools.takewhile(lambda line: line.startswith("#"), text)]


def _hint(line: str) -> str:
    if re.search(r"\t(ID|Parent)=", line):
        return "this is GFF3: convert it, for example with `gffread -T`"
    return "use a GTF (GFF version 2.2)"


class _Lines:
    """The lines read so far, as numbers; ids, contigs and strands are interned as keys."""

    def __init__(self) -> None:
        self.columns = {feature: (array("q"), array("q"), array("q"), array("q")) for feature in _FEATURES}
        self.contigs: dict[str, int] = {}
        self.gene_keys: dict[tuple[str, int, int], int] = {}  # (gene_id, contig, strand) → key
        self.transcript_keys: dict[tuple[int, str], int] = {}  # (gene key, transcript_id) → key
        self.names: dict[str, str] = {}  # by gene_id
        self.types: dict[str, str] = {}  # by gene_id
        self.coding: set[str] = set()  # gene_ids with a CDS

    def add(self, number: int, line: str) -> None:
        """Add one line.

        Raises:
            ValueError: the line is malformed.
        """
        columns = line.split("\t")
        if len(columns) != 9:
            if not line.strip() or line.startswith(_NOT_DATA):
                return
            raise ValueError(f"found {len(columns)} tab-separated columns, expected 9")
        chrom, _, feature, start, end, _, strand, _, attributes = columns
        if feature not in _FEATURES:
            return
        if "\0" in line:
            raise ValueError("found a NUL byte, expected text")
        _check_length("contig name", chrom)
        gene_id, transcript_id = self._ids(feature, attributes)
        if feature == "CDS":
            self.coding.add(gene_id)
            return
        key = self._key(chrom, strand, gene_id, transcript_id)
        start0, end0 = _interval(start, end)
        for column, value in zip(self.columns[feature], (key, start0, end0, number), strict=True):
            column.append(value)

    def _ids(self, feature: str, attributes: str) -> tuple[str, str | None]:
        """Return gene_id and transcript_id, None for a gene, and store the gene's name and type."""
        leading = _LEADING_IDS.match(attributes)
        if leading and feature != "gene" and leading[1] in self.names:
            return leading[1], leading[2]
        found = _attributes(attributes)
        gene_id = found.get("gene_id")
        if not gene_id:
            raise ValueError(f'found no gene_id, expected gene_id "…" in {_shown(attributes)}')
        self.names[gene_id] = self.names.get(gene_id) or found.get("gene_name") or found.get("gene", "")
        type_ = found.get("gene_type") or found.get("gene_biotype", "")
        self.types[gene_id] = self.types.get(gene_id) or type_
        if feature in ("gene", "CDS"):
            return gene_id, None
        if "transcript_id" not in found:
            raise ValueError(
                f"found no transcript_id, expected one for every {feature} in {_shown(attributes)}"
            )
        return gene_id, found["transcript_id"]

    def _key(self, chrom: str, strand: str, gene_id: str, transcript_id: str | None) -> int:
        if strand not in _STRAND_CODES:
            raise ValueError(f"found strand {_shown(strand)!r}, expected + or - (or . for none)")
        contig = self.contigs.setdefault(chrom, len(self.contigs))
        gene = self.gene_keys.setdefault((gene_id, contig, _STRAND_CODES[strand]), len(self.gene_keys))
        if transcript_id is None:
            return gene
        return self.transcript_keys.setdefault((gene, transcript_id), len(self.transcript_keys))

    def collect(self) -> GtfLines:
        """Return all lines; names and types that the file does not give are filled in."""
        spans = {
            feature: Spans(*(np.array(column, dtype=np.int64) for column in columns))
            for feature, columns in self.columns.items()
        }
        return GtfLines(
            contigs=list(self.contigs),
            gene_keys=list(self.gene_keys),
            transcript_keys=list(self.transcript_keys),
            names={gene_id: name or gene_id for gene_id, name in self.names.items()},
            types={gene_id: type_ or self._type_by_cds(gene_id) for gene_id, type_ in self.types.items()},
            genes=spans["gene"],
            transcripts=spans["transcript"],
            exons=spans["exon"],
        )

    def _type_by_cds(self, gene_id: str) -> str:
        return "protein_coding" if gene_id in self.coding else ""


def _attributes(text: str) -> dict[str, str]:
    if text.count('"') % 2:
        raise ValueError(f"found a quote that is not closed in {_shown(text)}")
    found = {key: value.strip('"') for key, value in _ATTRIBUTE.findall(text)}
    for key in _NAMES & found.keys():
        _check_length(key, found[key])
    return found


def _check_length(what: str, name: str) -> None:
    if len(name) > _MAX_NAME:
        raise ValueError(f"found a {what} of {len(name)} characters, expected at most {_MAX_NAME}")


def _shown(attributes: str) -> str:
    text = attributes.strip()
    return text if len(text) <= 100 else f"{text[:100]}…"


def _interval(start: str, end: str) -> tuple[int, int]:
    try:
        start1, end1 = int(start), int(end)
    except ValueError:
        found = f"start {_shown(start)!r} and end {_shown(end)!r}"
        raise ValueError(f"found {found}, expected whole numbers") from None
    if not 1 <= start1 <= end1 <= _MAX_END1:
        raise ValueError(f"found start {start1} and end {end1}, expected 1 ≤ start ≤ end ≤ {_MAX_END1}")
    return start1 - 1, end1
