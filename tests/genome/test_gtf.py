"""Small GTFs of every source."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.genome.gtf_lines import ENSEMBL, GENCODE, NCBI, UCSC, ids, line
from tests.paths import need
from vepscore.errors import AnnotationError
from vepscore.genome.gene_models import GeneModels, merge_spans
from vepscore.genome.gtf import read_gtf


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], GeneModels]:
    def read_text(text: str | bytes) -> GeneModels:
        path = tmp_path / "genes.gtf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_gtf(path)

    return read_text


def columns(table: object, *names: str) -> list[tuple]:
    return list(zip(*(getattr(table, name).tolist() for name in names), strict=True))


@pytest.mark.parametrize(
    ("text", "contig", "gene"),
    [
        (GENCODE, "chr16", ("ENSG01.7", "ABC1", "protein_coding", 100, 900, "-")),
        (ENSEMBL, "16", ("ENSG01", "ENSG01", "lncRNA", 100, 900, "-")),
        (NCBI, "NC_000016.10", ("ABC1", "ABC1", "protein_coding", 100, 900, "-")),
        (UCSC, "chr16", ("ABC1", "ABC1", "protein_coding", 100, 950, "-")),
    ],
    ids=["GENCODE", "Ensembl", "NCBI", "UCSC"],
)
def test_every_source_gives_the_same_tables(
    read: Callable[[str | bytes], GeneModels], text: str, contig: str, gene: tuple[object, ...]
) -> None:
    models = read(text)
    assert models.contigs == (contig,)
    assert columns(models.genes, "gene_id", "name", "type", "start0", "end0", "strand")[0] == gene
    assert columns(models.transcripts, "start0", "end0", "strand", "gene")[0] == (100, 900, "-", 0)
    assert columns(models.exons, "transcript", "start0", "end0")[:2] == [(0, 100, 200), (0, 800, 900)]


def test_a_gene_without_transcripts_is_kept(read: Callable[[str | bytes], GeneModels]) -> None:
    models = read(NCBI)
    assert columns(models.genes, "gene_id", "type")[1] == ("LOC2", "pseudogene")
    assert models.transcripts.transcript_id.tolist() == ["NM_1.1"]


def test_ucsc_genes_are_derived_from_transcripts(read: Callable[[str | bytes], GeneModels]) -> None:
    models = read(UCSC)
    assert columns(models.genes, "gene_id", "type") == [("ABC1", "protein_coding"), ("RNA3", "")]
    assert models.transcripts.gene.tolist() == [0, 0, 1]


def test_transcripts_and_genes_are_derived_from_exons(read: Callable[[str | bytes], GeneModels]) -> None:
    models = read(
        line("exon", 101, 200, ids("g", "t2"))
        + line("exon", 401, 500, ids("g", "t2"))
        + line("exon", 51, 120, ids("g", "t1"))
    )
    assert columns(models.genes, "gene_id", "start0", "end0") == [("g", 50, 500)]
    assert columns(models.transcripts, "transcript_id", "start0", "end0") == [
        ("t2", 100, 500),
        ("t1", 50, 120),
    ]


def test_genes_only(read: Callable[[str | bytes], GeneModels]) -> None:
    models = read(line("gene", 1, 9, 'gene_id "g";'))
    assert len(models.genes.gene_id) == 1
    assert len(models.transcripts.gene) == len(models.exons.transcript) == 0


def test_one_id_at_several_loci(read: Callable[[str | bytes], GeneModels]) -> None:
    def locus(chrom: str, start1: int, strand: str = "+") -> str:
        return (
            line("gene", start1, start1 + 99, 'gene_id "g";', chrom, strand)
            + line("transcript", start1, start1 + 99, ids("g", "t"), chrom, strand)
            + line("exon", start1 + 80, start1 + 99, ids("g", "t"), chrom, strand)
            + line("exon", start1, start1 + 19, ids("g", "t"), chrom, strand)
        )

    models = read(locus("chrX", 1001) + locus("chrX", 1) + locus("chrY", 1) + locus("chrX", 1, "-"))
    assert models.contigs == ("chrX", "chrY")
    assert columns(models.genes, "chrom", "start0", "strand") == [
        (0, 1000, "+"),
        (0, 0, "+"),
        (0, 0, "-"),
        (1, 0, "+"),
    ]
    assert models.transcripts.gene.tolist() == [0, 1, 2, 3]
    assert columns(models.exons, "transcript", "start0")[:4] == [(0, 1000), (0, 1080), (1, 0), (1, 80)]


def test_loci_of_a_gene_without_lines_stay_separate(read: Callable[[str | bytes], GeneModels]) -> None:
    models = read(line("transcript", 1, 100, ids("g", "a")) + line("transcript", 901, 999, ids("g", "b")))
    assert columns(models.genes, "gene_id", "start0", "end0") == [("g", 0, 100), ("g", 900, 999)]


def test_a_transcript_id_shared_by_genes(read: Callable[[str | bytes], GeneModels]) -> None:
    models = read(
        line("transcript", 1, 100, ids("a", "unknown_transcript_1"))
        + line("transcript", 1, 100, ids("b", "unknown_transcript_1"))
        + line("exon", 1, 50, ids("b", "unknown_transcript_1"))
    )
    assert models.transcripts.gene.tolist() == [0, 1]
    assert models.exons.transcript.tolist() == [1]


def test_duplicate_lines_change_nothing(read: Callable[[str | bytes], GeneModels]) -> None:
    once, twice = read(GENCODE), read(GENCODE * 2)
    assert columns(twice.genes, "gene_id", "start0", "end0") == columns(
        once.genes, "gene_id", "start0", "end0"
    )
    assert columns(twice.transcripts, "transcript_id", "gene") == [("ENST01.1", 0)]


def test_parents_do_not_depend_on_the_order_of_lines(
    read: Callable[[str | bytes], GeneModels],
) -> None:
    meta, *body = GENCODE.splitlines(keepends=True)
    backwards = read(meta + "".join(reversed(body)))
    assert columns(backwards.genes, "gene_id", "name", "type") == [("ENSG01.7", "ABC1", "protein_coding")]
    assert backwards.exons.start0.tolist() == [100, 800]


def test_genes_are_grouped_by_contig_in_file_order(
    read: Callable[[str | bytes], GeneModels],
) -> None:
    lines = [("chr2", 500, "a"), ("chr1", 900, "b"), ("chr2", 100, "c"), ("chr1", 50, "d")]
    models = read("".join(line("gene", at, at + 9, f'gene_id "{name}";', chrom) for chrom, at, name in lines))
    assert columns(models.genes, "gene_id", "chrom") == [("a", 0), ("c", 0), ("b", 1), ("d", 1)]


@pytest.mark.parametrize(
    "attributes",
    [
        'gene_id "g;1"; gene_name "a; gene_name "; note "x"; gene_type "b;c";',
        'note "gene_id; gene_name z"; gene_id "g;1"; gene_name "a; gene_name "; gene_type "b;c"',
    ],
)
def test_semicolons_inside_quotes_are_text(
    read: Callable[[str | bytes], GeneModels], attributes: str
) -> None:
    models = read(line("gene", 1, 9, attributes))
    assert columns(models.genes, "gene_id", "name", "type") == [("g;1", "a; gene_name ", "b;c")]


def test_unquoted_values_and_no_strand(read: Callable[[str | bytes], GeneModels]) -> None:
    models = read(line("gene", 1, 9, "gene_id 7; gene_name abc", strand="."))
    assert columns(models.genes, "gene_id", "name", "strand") == [("7", "abc", ".")]


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.rstrip(b"\n"),
        lambda text: gzip.compress(text),
        lambda text: gzip.compress(text[:500]) + gzip.compress(text[500:]),
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: b"track name=x\n\n" + text + b"\n \n# end\n",
    ],
    ids=["CRLF", "no last newline", "gzip", "gzip in members", "byte order mark", "track and blank lines"],
)
def test_line_ends_compression_and_blank_lines_change_nothing(
    read: Callable[[str | bytes], GeneModels], rewrite: Callable[[bytes], bytes]
) -> None:
    plain, wrapped = read(GENCODE), read(rewrite(GENCODE.encode()))
    assert wrapped.contigs == plain.contigs
    for table in ("genes", "transcripts", "exons"):
        for name, column in vars(getattr(plain, table)).items():
            np.testing.assert_array_equal(getattr(getattr(wrapped, table), name), column)


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("chr1\ttest\texon\t1\t9\n", "found 5 tab-separated columns, expected 9"),
        ("chr1 test exon 1 9 . + . gene_id\n", "found 1 tab-separated columns, expected 9"),
        (line("gene", "x", 9, 'gene_id "g";'), "found start 'x' and end '9', expected whole numbers"),
        (
            line("gene", 0, 9, 'gene_id "g";'),
            "found start 0 and end 9, expected 1 ≤ start ≤ end ≤ 2147483647",
        ),
        (
            line("gene", 10, 9, 'gene_id "g";'),
            "found start 10 and end 9, expected 1 ≤ start ≤ end ≤ 2147483647",
        ),
        (line("gene", 1, 9, 'gene_id "g";', strand="?"), "found strand '?', expected + or - (or . for none)"),
        (
            line("gene", 1, 9, 'gene_name "g";'),
            'found no gene_id, expected gene_id "…" in gene_name "g";',
        ),
        (line("gene", 1, 9, 'gene_id "";'), 'found no gene_id, expected gene_id "…" in gene_id "";'),
        (
            line("exon", 1, 9, 'gene_id "g";'),
            'found no transcript_id, expected one for every exon in gene_id "g";',
        ),
        (
            line("gene", 1, 9, 'gene_id "g; level 2;'),
            'found a quote that is not closed in gene_id "g; level 2;',
        ),
    ],
)
def test_malformed_lines_are_reported(
    read: Callable[[str | bytes], GeneModels], bad: str, found: str
) -> None:
    with pytest.raises(AnnotationError) as caught:
        read(GENCODE + bad)
    where, what = caught.value.message.split("\n")
    assert where.endswith("genes.gtf line 8")
    assert what == found


def test_gff3_is_recognized(read: Callable[[str | bytes], GeneModels]) -> None:
    with pytest.raises(AnnotationError) as caught:
        read("##gff-version 3\n" + line("gene", 1, 9, "ID=gene:1;Name=abc"))
    assert "GFF3" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", line("CDS", 1, 9, ids("g", "t")), line("start_codon", 1, 3, "")]
)
def test_an_empty_annotation_is_an_error(read: Callable[[str | bytes], GeneModels], text: str) -> None:
    with pytest.raises(AnnotationError, match="no gene, transcript or exon lines"):
        read(text)


def test_files_that_cannot_be_read(read: Callable[[str | bytes], GeneModels], tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="No such file"):
        read_gtf(tmp_path / "absent.gtf")
    with pytest.raises(AnnotationError, match="not a regular file"):
        read_gtf(tmp_path)
    with pytest.raises(AnnotationError, match="is damaged"):
        read(gzip.compress(GENCODE.encode())[:-12])


def test_merge_spans() -> None:
    group, start0, end0 = np.array(
        [[1, 10, 20], [0, 5, 8], [1, 18, 30], [1, 30, 31], [1, 40, 41], [0, 6, 7]]
    ).T
    merged, *spans = merge_spans(group, start0, end0)
    assert merged.tolist() == [1, 0, 1, 1, 2, 0]
    assert np.stack(spans, axis=1).tolist() == [[0, 5, 8], [1, 10, 31], [1, 40, 41]]


def test_gencode_region() -> None:
    models = read_gtf(need("data/gencode_v48.chr16_0.95-1.61M.gtf.gz"))
    lmf1 = models.genes.gene_id.tolist().index("ENSG00000103227.19")
    assert len(models.exons.start0) == 1784
    assert len(models.genes.gene_id) == 75, "70 with a line, 5 that the region cuts"
    assert (models.genes.start0[lmf1], models.genes.name[lmf1]) == (954352, "LMF1")
