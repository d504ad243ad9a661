"""The gene tables of the original packages, made from a GTF: SpliceAI's (and OpenSpliceAI's), and CI-SpliceAI's."""

import csv
import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Gene(NamedTuple):
    """A gene on one chromosome; coordinates 1-based, both ends included."""

    name: str
    chrom: str
    strand: str
    transcripts: dict[str, list[tuple[int, int]]]

    @property
    def exons(self) -> list[tuple[int, int]]:
        """Unique (start, end) of all transcripts, sorted; overlapping ones are not merged."""
        return sorted({exon for exons in self.transcripts.values() for exon in exons})

    @property
    def introns(self) -> list[tuple[int, int]]:
        """Unique (last base of the exon before, first base of the exon after), sorted."""
        pairs = (zip(sorted(t), sorted(t)[1:], strict=False) for t in self.transcripts.values())
        return sorted({(left[1], right[0]) for pair in pairs for left, right in pair})


def genes(gtf: Path, chrom: str) -> list[Gene]:
    """Genes of `chrom` with their exons by transcript, in the order of their first exon line."""
    found: dict[str, Gene] = {}
    for name, strand, transcript, exon in _exons(gtf, chrom):
        gene = found.setdefault(name, Gene(name, chrom, strand, {}))
        gene.transcripts.setdefault(transcript, []).append(exon)
    return list(found.values())


def _exons(gtf: Path, chrom: str) -> Iterator[tuple[str, str, str, tuple[int, int]]]:
    with gzip.open(gtf, "rt") as lines:
        for line in lines:
            fields = line.rstrip("\n").split("\t")
            if fields[0] != chrom or fields[2] != "exon":
                continue
            attributes = dict(re.findall(r'(\w+) "([^"]*)"', fields[8]))
            yield (
                attributes["gene_id"],
                fields[6],
                attributes["transcript_id"],
                (int(fields[3]), int(fields[4])),
            )


def write_spliceai(found: list[Gene], path: Path) -> None:
    """#NAME CHROM STRAND TX_START TX_END EXON_START EXON_END; starts 0-based, a comma after each list item."""
    with path.open("w") as out:
        print("#NAME", "CHROM", "STRAND", "TX_START", "TX_END", "EXON_START", "EXON_END", sep="\t", file=out)
        for gene in found:
            starts = "".join(f"{start - 1}," for start, _ in gene.exons)
            ends = "".join(f"{end}," for _, end in gene.exons)
            first, last = gene.exons[0][0] - 1, max(end for _, end in gene.exons)
            print(gene.name, gene.chrom, gene.strand, first, last, starts, ends, sep="\t", file=out)


def write_cispliceai(found: list[Gene], path: Path) -> None:
    """gene_id,chr,strand,start,end,jn_start,jn_end; all 1-based; genes without an intron are left out."""
    with path.open("w", newline="") as out:
        table = csv.writer(out, lineterminator="\n")
        table.writerow(("gene_id", "chr", "strand", "start", "end", "jn_start", "jn_end"))
        for gene in found:
            if gene.introns:
                sides = (sorted({intron[side] for intron in gene.introns}) for side in (0, 1))
                span = gene.exons[0][0], max(end for _, end in gene.exons)
                table.writerow(
                    (gene.name, gene.chrom, gene.strand, *span, *(",".join(map(str, s)) for s in sides))
                )
