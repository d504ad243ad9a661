"""Write the demo's SYNTHETIC genome: FOLDER/synthetic.fa, synthetic.gtf and synthetic.vcf.

    python make_genome.py FOLDER

Needs numpy only. The contig and its genes come from genome.py (parameters at its top), the variants from
variants.py. Each variant's INFO field EXPECT says what it should do.
"""

import pathlib
import sys
from collections.abc import Iterator

import genome
from variants import Variant, make_variants

LINE_BP = 60
SYMBOLIC_BP = 500  # length that the <DEL> claims


def format_fasta(sequence: str) -> Iterator[str]:
    yield f">{genome.CONTIG} SYNTHETIC sequence from a random generator, not from any organism"
    for start in range(0, len(sequence), LINE_BP):
        yield sequence[start : start + LINE_BP]


def format_gtf(genes: list[genome.Gene]) -> Iterator[str]:
    """Gene, transcript and exon lines as GENCODE writes them; exons from 5' to 3', coordinates 1-based."""
    yield "##description: SYNTHETIC annotation of a random sequence, not of any organism"
    yield "##format: gtf"
    for number, gene in enumerate(genes, start=1):
        name = gene.plan.name
        gene_tags = f'gene_id "SYNG{number:011d}.1"; '
        transcript_tags = f'{gene_tags}transcript_id "SYNT{number:011d}.1"; '
        gene_names = f'gene_type "protein_coding"; gene_name "{name}"; '
        names = f'{gene_names}transcript_type "protein_coding"; transcript_name "{name}-201"; '
        whole = gene.span_on_contig(0, len(gene.codes))
        yield gtf_line(gene, "gene", whole, f"{gene_tags}{gene_names}level 3;")
        yield gtf_line(gene, "transcript", whole, f"{transcript_tags}{names}level 3;")
        for index, exon in enumerate(gene.exons, start=1):
            exon_tags = f'exon_number {index}; exon_id "SYNE{number:06d}{index:05d}.1"; level 3;'
            yield gtf_line(gene, "exon", gene.span_on_contig(*exon), f"{transcript_tags}{names}{exon_tags}")


def gtf_line(gene: genome.Gene, feature: str, span0: tuple[int, int], attributes: str) -> str:
    start0, end0 = span0
    columns = (genome.CONTIG, "SYNTHETIC", feature, start0 + 1, end0, ".", gene.plan.strand, ".", attributes)
    return "\t".join(map(str, columns))


def format_vcf(variants: list[Variant]) -> Iterator[str]:
    yield "##fileformat=VCFv4.2"
    yield "##source=SYNTHETIC variants on a random sequence, for the vepscore demo"
    yield f"##contig=<ID={genome.CONTIG},length={genome.CONTIG_BP}>"
    yield '##ALT=<ID=DEL,Description="Deletion">'
    yield '##INFO=<ID=EXPECT,Number=1,Type=String,Description="What the variant was made to do">'
    yield '##INFO=<ID=EXON,Number=1,Type=String,Description="The exon that is made or lost, 1-based, inclusive">'
    yield '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type of structural variant">'
    yield '##INFO=<ID=END,Number=1,Type=Integer,Description="End position of the structural variant">'
    yield "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
    for variant in variants:
        info = f"EXPECT={variant.expect}"
        if variant.exon:
            info += f";EXON={variant.exon[0] + 1}-{variant.exon[1]}"
        if variant.alt.startswith("<"):
            info += f";SVTYPE=DEL;END={variant.pos1 + SYMBOLIC_BP}"
        columns = (genome.CONTIG, variant.pos1, variant.id, variant.ref, variant.alt, ".", ".", info)
        yield "\t".join(map(str, columns))


def main(folder: str) -> None:
    contig, genes = genome.make_genome()
    files = {
        "synthetic.fa": format_fasta(genome.decode(contig)),
        "synthetic.gtf": format_gtf(genes),
        "synthetic.vcf": format_vcf(make_variants(contig, genes)),
    }
    target = pathlib.Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        (target / name).write_text("".join(f"{line}\n" for line in lines), encoding="ascii")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make_genome.py FOLDER")
    main(sys.argv[1])
