"""A genome of random bases with splice sites planted in it, its genes, and VCFs on it.

    training   80 genes of 1,000 bp each, with two introns each; on + and - in turn
    judged     four genes, likewise

Coordinates are 0-based and half-open.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference

GENE_BP = 1_000
GENES = {"training": 80, "judged": 4}
EXONS = ((100, 200), (400, 500), (800, 900))  # of each gene, from its start
DONOR, ACCEPTOR = "CAGGTAAGT", "TTCTTTCCTTTCTTTTGCAGGTT"
BOUNDARY_IN = {"donor": 3, "acceptor": 20}
_COMPLEMENT = str.maketrans("ACGT", "TGCA")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Genome:
    """The genome in memory and on disk."""

    contigs: dict[str, str]
    fasta: Path
    gtf: Path

    @property
    def reference(self) -> Reference:
        return Reference(self.fasta, self.fasta.parent / "cache")

    @property
    def annotation(self) -> Annotation:
        return Annotation.from_gtf(self.gtf, self.fasta.parent / "cache")

    def snv(self, chrom: str, pos0: int, step: int = 1) -> Allele:
        """The base at a position changed into another one: the next in the order ACGT, or the one after that."""
        return self.allele(chrom, pos0, 1, "ACGT"[("ACGT".index(self.contigs[chrom][pos0]) + step) % 4])

    def allele(self, chrom: str, pos0: int, ref_bp: int, alt: str) -> Allele:
        """REF of that many bases, as the genome has them."""
        return Allele(chrom=chrom, pos0=pos0, ref=self.contigs[chrom][pos0 : pos0 + ref_bp], alt=alt)


def genes(chrom: str) -> Iterator[tuple[str, str, list[tuple[int, int]]]]:
    """Name, strand and exons of each gene."""
    for number in range(GENES[chrom]):
        exons = [(number * GENE_BP + start, number * GENE_BP + end) for start, end in EXONS]
        yield f"{chrom}{number}", "+-"[number % 2], exons


def sites(chrom: str) -> Iterator[tuple[str, str, int]]:
    """Kind, strand and boundary of each splice site: the first base to its right."""
    for _, strand, exons in genes(chrom):
        for (_, left), (right, _) in itertools.pairwise(exons):
            yield ("donor" if strand == "+" else "acceptor"), strand, left
            yield ("acceptor" if strand == "+" else "donor"), strand, right


def reverse_complement(bases: str) -> str:
    return bases[::-1].translate(_COMPLEMENT)


def build_planted(folder: Path, *, mirrored: bool = False, noise: float = 0.1) -> Genome:
    """Writes the genome; `mirrored` is its reverse complement, genes included.

    Args:
        folder: where to.
        mirrored: whether each contig is reverse-complemented.
        noise: how often a base of a planted site, but for GT and AG, is a random one.
    """
    rng = np.random.default_rng(7)
    contigs = {}
    for chrom, count in GENES.items():
        bases = rng.choice(list("ACGT"), count * GENE_BP)
        for kind, strand, boundary in sites(chrom):
            _plant(bases, rng, kind, strand, boundary, noise)
        contigs[chrom] = "".join(bases)
    lines = [line for chrom in GENES for line in _gtf_lines(chrom, mirrored)]
    if mirrored:
        contigs = {chrom: reverse_complement(bases) for chrom, bases in contigs.items()}
    genome = Genome(contigs=contigs, fasta=folder / "planted.fa", gtf=folder / "planted.gtf")
    genome.fasta.write_text("".join(f">{chrom}\n{bases}\n" for chrom, bases in contigs.items()))
    genome.gtf.write_text("".join(lines))
    return genome


def write_scored(path: Path, rows: Sequence[tuple[Allele, str]], meta: Sequence[str]) -> Path:
    """A VCF of alleles, each with the text of its INFO; sorted as given."""
    lines = ["##fileformat=VCFv4.2", *(f"##contig=<ID={chrom}>" for chrom in GENES), *meta]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    lines += [
        f"{allele.chrom}\t{allele.pos0 + 1}\t.\t{allele.ref}\t{allele.alt}\t.\t.\t{info}"
        for allele, info in rows
    ]
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def info_line(name: str, number: str, kind: str) -> str:
    return f'##INFO=<ID={name},Number={number},Type={kind},Description="of a test">'


def _plant(
    bases: np.ndarray, rng: np.random.Generator, kind: str, strand: str, boundary: int, noise: float
) -> None:
    consensus = DONOR if kind == "donor" else ACCEPTOR
    fixed = range(3, 5) if kind == "donor" else range(18, 20)
    site = "".join(
        base if i in fixed or rng.random() >= noise else str(rng.choice(list("ACGT")))
        for i, base in enumerate(consensus)
    )
    before = BOUNDARY_IN[kind]
    if strand == "-":
        site, before = reverse_complement(site), len(site) - before
    bases[boundary - before : boundary - before + len(site)] = list(site)


def _gtf_lines(chrom: str, mirrored: bool) -> Iterator[str]:
    length = GENES[chrom] * GENE_BP
    for name, strand, exons in genes(chrom):
        if mirrored:
            strand = "-" if strand == "+" else "+"
            exons = sorted((length - end, length - start) for start, end in exons)
        tags = f'gene_id "{name}"; gene_name "{name}"; gene_type "protein_coding";'
        span = (exons[0][0], exons[-1][1])
        for feature, spans in (("gene", [span]), ("transcript", [span]), ("exon", exons)):
            more = "" if feature == "gene" else f' transcript_id "{name}.1";'
            for start0, end0 in spans:
                yield f"{chrom}\ttest\t{feature}\t{start0 + 1}\t{end0}\t.\t{strand}\t.\t{tags}{more}\n"
