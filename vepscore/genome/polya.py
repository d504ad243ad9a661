"""Polyadenylation sites by gene, read from a table.

The table is tab-separated, uncompressed or gzipped, with a header that has at least the columns gene_id, chrom, start
(0-based) and strand.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import numpy as np

from vepscore.errors import AnnotationError
from vepscore.genome.annotation import Gene
from vepscore.genome.contigs import ContigNames
from vepscore.genome.gene_ids import without_version
from vepscore.genome.text_file import open_text

COLUMNS = ("gene_id", "chrom", "start", "strand")

_MAX_START0 = 2**31 - 1  # as in a VCF
_Locus = tuple[str, str, str]  # gene_id without its version, contig name of the table, strand


class PolyASites:
    """The polyadenylation sites of each gene.

    Attributes:
        digest: sha256 of the table's file, in hex.
        contigs: the table's contig names, and the aliases matched so far.
    """

    def __init__(self, sites: Mapping[_Locus, np.ndarray], *, digest: str) -> None:
        self.digest = digest
        self.contigs = ContigNames(dict.fromkeys(chrom for _, chrom, _ in sites))
        self._sites = dict(sites)
        for starts in self._sites.values():
            starts.flags.writeable = False  # `of_gene` returns them

    @classmethod
    def from_tsv(cls, path: Path | str) -> Self:
        """Read the table.

        Raises:
            AnnotationError: the file cannot be read, lacks a column, has a malformed line (the message gives its
                number) or has no site.
        """
        path = Path(path)
        found: defaultdict[_Locus, list[int]] = defaultdict(list)
        with open_text(path, AnnotationError) as lines:
            header = next(lines, "").removeprefix("#").rstrip("\n").split("\t")
            columns = _find_columns(path, header)
            for number, line in enumerate(lines, start=2):
                try:
                    _add(found, line.rstrip("\n").split("\t"), columns)
                except ValueError as error:
                    raise AnnotationError(f"{path} line {number}\n{error}") from error
        if not found:
            raise AnnotationError(f"{path}\nhas a header but no poly(A) sites")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls(
            {locus: np.unique(np.array(starts, np.int64)) for locus, starts in found.items()}, digest=digest
        )

    def of_gene(self, gene: Gene) -> np.ndarray:
        """Return the gene's sites on its contig and strand: int64 (N,), 0-based, ascending and distinct.

        Ensembl gene ids are compared without their versions.
        """
        chrom = self.contigs.match(gene.chrom) or gene.chrom
        locus = (without_version(gene.gene_id), chrom, gene.strand)
        return self._sites.get(locus, np.zeros(0, np.int64))


def _find_columns(path: Path, header: list[str]) -> list[int]:
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise AnnotationError(
            f"{path} line 1\nfound no column {', '.join(missing)}",
            hint=f"expected tab-separated columns with a header: {', '.join(COLUMNS)}; start is 0-based",
        )
    return [header.index(name) for name in COLUMNS]


def _add(found: dict[_Locus, list[int]], values: list[str], columns: list[int]) -> None:
    if values == [""]:
        return
    if len(values) <= max(columns):
        raise ValueError(f"found {len(values)} tab-separated columns, expected at least {max(columns) + 1}")
    gene_id, chrom, start, strand = (values[column] for column in columns)
    if not gene_id or not chrom:
        raise ValueError("found an empty gene_id or chrom")
    if not (start.isascii() and start.isdigit() and len(start) <= len(str(_MAX_START0))):
        raise ValueError(f"found start {start[:40]!r}, expected a whole number from 0 to {_MAX_START0}")
    if strand not in ("+", "-"):
        raise ValueError(f"found strand {strand!r}, expected + or -")
    found[without_version(gene_id), chrom, strand].append(int(start))
