"""Queries on small annotations, and on GENCODE compared with results of the official code."""

import dataclasses
import logging
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from tests.genome.gtf_lines import ENSEMBL, GENCODE, NCBI, UCSC, ids, line
from tests.paths import need
from vepscore.errors import AnnotationError
from vepscore.genome import annotation as annotation_module
from vepscore.genome.annotation import Annotation, Gene
from vepscore.outputs import SPLICE_CLASSES

GENCODE_REGION = "data/gencode_v48.chr16_0.95-1.61M.gtf.gz"

# Gene `plus` has two transcripts, `minus` one; they overlap on 900 … 1000.
TWO_GENES = (
    line("gene", 901, 2000, 'gene_id "minus"; gene_type "lncRNA";', strand="-")
    + line("transcript", 901, 2000, ids("minus", "m1"), strand="-")
    + line("exon", 1501, 2000, ids("minus", "m1"), strand="-")
    + line("exon", 901, 1200, ids("minus", "m1"), strand="-")
    + line("gene", 101, 1000, 'gene_id "plus"; gene_name "P"; gene_type "protein_coding";')
    + line("transcript", 101, 1000, ids("plus", "p1"))
    + line("exon", 101, 200, ids("plus", "p1"))
    + line("exon", 301, 400, ids("plus", "p1"))
    + line("exon", 801, 1000, ids("plus", "p1"))
    + line("transcript", 151, 1000, ids("plus", "p2"))
    + line("exon", 151, 250, ids("plus", "p2"))
    + line("exon", 801, 1000, ids("plus", "p2"))
)


@pytest.fixture
def annotate(tmp_path: Path) -> Callable[[str], Annotation]:
    def from_text(text: str) -> Annotation:
        path = tmp_path / "genes.gtf"
        path.write_text(text)
        return Annotation.from_gtf(path, tmp_path / "cache")

    return from_text


@pytest.fixture
def two_genes(annotate: Callable[[str], Annotation]) -> Annotation:
    return annotate(TWO_GENES)


@pytest.fixture(scope="module")
def gencode(tmp_path_factory: pytest.TempPathFactory) -> Annotation:
    return Annotation.from_gtf(need(GENCODE_REGION), tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(
    ("start0", "end0", "genes"),
    [
        (99, 100, []),
        (100, 101, ["plus"]),
        (899, 900, ["plus"]),
        (900, 901, ["minus", "plus"]),
        (999, 1000, ["minus", "plus"]),
        (1000, 1001, ["minus"]),
        (1999, 2000, ["minus"]),
        (2000, 2001, []),
        (-500, 5000, ["minus", "plus"]),
    ],
)
def test_genes_overlapping(two_genes: Annotation, start0: int, end0: int, genes: list[str]) -> None:
    assert [gene.gene_id for gene in two_genes.genes_overlapping("chr1", start0, end0)] == genes


def test_a_gene_has_all_its_fields(two_genes: Annotation) -> None:
    assert two_genes.genes_overlapping("chr1", 500, 501) == [
        Gene(gene_id="plus", name="P", type="protein_coding", chrom="chr1", start0=100, end0=1000, strand="+")
    ]


@pytest.mark.parametrize(
    ("start0", "end0", "expected"),
    [
        (0, 100, {}),
        (100, 101, {"plus": [[100, 200], [300, 400], [800, 1000]]}),
        (101, 151, {"plus": [[150, 250], [800, 1000]]}),
        (100, 151, {"plus": [[100, 250], [300, 400], [800, 1000]]}),
        (1999, 2000, {}),
        (2000, 2001, {"minus": [[900, 1200], [1500, 2000]]}),
        (-100, 3000, {"minus": [[900, 1200], [1500, 2000]], "plus": [[100, 250], [300, 400], [800, 1000]]}),
    ],
)
def test_genes_with_start(two_genes: Annotation, start0: int, end0: int, expected: list[object]) -> None:
    found = two_genes.genes_with_start("chr1", start0, end0)
    assert [(gene.gene_id, exons.tolist()) for gene, exons in found] == list(expected.items())
    assert all(exons.dtype == np.int64 for _, exons in found)


def test_genes_are_sorted_by_their_first_start(annotate: Callable[[str], Annotation]) -> None:
    genes = annotate(
        line("gene", 1, 900, 'gene_id "a";')
        + line("gene", 1, 900, 'gene_id "b";')
        + line("transcript", 501, 900, ids("b", "b1"))
        + line("transcript", 1, 900, ids("a", "a1"))
        + line("exon", 1, 900, ids("a", "a1"))
        + line("transcript", 2, 900, ids("b", "b2"))
    )
    found = genes.genes_with_start("chr1", 0, 1000)
    assert [(gene.gene_id, exons.tolist()) for gene, exons in found] == [("b", []), ("a", [[0, 900]])]
    assert [gene.gene_id for gene, _ in genes.genes_with_start("chr1", 0, 100)] == ["a", "b"]
    assert [gene.gene_id for gene in genes.genes_overlapping("chr1", 0, 1000)] == ["a", "b"]


def test_splice_sites(two_genes: Annotation) -> None:
    pos0, site_class = two_genes.splice_sites("chr1", 0, 3000)
    assert (pos0.dtype, site_class.dtype) == (np.int64, np.int8)
    assert [
        (at, SPLICE_CLASSES[kind]) for at, kind in zip(pos0.tolist(), site_class.tolist(), strict=True)
    ] == [
        (199, "donor+"),
        (249, "donor+"),
        (300, "acceptor+"),
        (399, "donor+"),
        (800, "acceptor+"),
        (1199, "acceptor-"),
        (1500, "donor-"),
    ]


def test_splice_sites_of_an_interval(two_genes: Annotation) -> None:
    assert two_genes.splice_sites("chr1", 249, 800)[0].tolist() == [249, 300, 399]
    assert two_genes.splice_sites("chr1", 2500, 3000)[0].tolist() == []


def test_introns(two_genes: Annotation) -> None:
    found = two_genes.introns("chr1", 350, 1300)
    rows = zip(found.start0, found.end0, found.strand, found.transcripts, found.gene, strict=True)
    assert [
        (int(start), int(end), str(strand), int(count), two_genes.gene(gene).gene_id)
        for start, end, strand, count, gene in rows
    ] == [
        (250, 800, "+", 1, "plus"),
        (400, 800, "+", 1, "plus"),
        (1200, 1500, "-", 1, "minus"),
    ]


def test_an_intron_counts_its_transcripts(annotate: Callable[[str], Annotation]) -> None:
    text = "".join(
        line("exon", start, end, ids(gene, transcript))
        for gene, transcript in (("g", "a"), ("g", "b"), ("h", "c"))
        for start, end in ((1, 100), (101, 150), (140, 160), (201, 300))
    )
    found = annotate(text).introns("chr1", 0, 1000)
    assert [column.tolist() for column in (found.start0, found.end0, found.transcripts, found.gene)] == [
        [160],
        [200],
        [3],
        [0],
    ]


def test_unstranded_introns_have_no_splice_sites(annotate: Callable[[str], Annotation]) -> None:
    genes = annotate("".join(line("exon", at, at + 9, ids("g", "t"), strand=".") for at in (1, 101)))
    assert len(genes.introns("chr1", 0, 1000).start0) == 1
    assert len(genes.splice_sites("chr1", 0, 1000)[0]) == 0
    assert [gene.strand for gene, _ in genes.genes_with_start("chr1", 0, 1)] == ["."]


def test_an_annotation_of_genes_alone(annotate: Callable[[str], Annotation]) -> None:
    genes = annotate(line("gene", 1, 9, 'gene_id "g";'))
    assert len(genes.genes_overlapping("chr1", 0, 5)) == 1
    assert genes.genes_with_start("chr1", 0, 5) == []
    assert len(genes.splice_sites("chr1", 0, 5)[0]) == len(genes.introns("chr1", 0, 5).start0) == 0


@pytest.mark.parametrize("text", [GENCODE, ENSEMBL, NCBI, UCSC], ids=["GENCODE", "Ensembl", "NCBI", "UCSC"])
@pytest.mark.parametrize("chrom", ["chr16", "16", "NC_000016.10"])
def test_contigs_are_found_by_any_of_their_names(
    annotate: Callable[[str], Annotation], text: str, chrom: str
) -> None:
    genes = annotate(text)
    assert len(genes.genes_overlapping(chrom, 500, 501)) == 1
    assert genes.splice_sites(chrom, 0, 1000)[0].tolist() == [199, 800]
    assert genes.contigs.aliased == ({(chrom, genes.contigs.names[0])} - {(chrom, chrom)})


def test_an_unknown_contig_has_no_genes(two_genes: Annotation) -> None:
    assert two_genes.genes_overlapping("chrUn", 0, 5000) == two_genes.genes_with_start("chrUn", 0, 5000) == []
    assert (
        len(two_genes.splice_sites("chrUn", 0, 5000)[0])
        == len(two_genes.introns("chrUn", 0, 5000).start0)
        == 0
    )


def tables_of(genes: Annotation) -> list[list]:
    everything = genes.introns("chr1", 0, 10**9), *genes.splice_sites("chr1", 0, 10**9)
    tables = [genes.genes, genes.transcripts, genes.exons, everything[0]]
    columns = [getattr(table, field.name) for table in tables for field in dataclasses.fields(table)]
    return [column.tolist() for column in (*columns, *everything[1:])]


def refuse_to_parse(path: Path) -> NoReturn:
    raise AssertionError(f"{path} was parsed again")


def test_the_cache_returns_the_same_tables_without_parsing_again(
    annotate: Callable[[str], Annotation], two_genes: Annotation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotation_module, "read_gtf", refuse_to_parse)
    cached = annotate(TWO_GENES)
    assert tables_of(cached) == tables_of(two_genes)
    assert (cached.digest, cached.contigs.names) == (two_genes.digest, two_genes.contigs.names)


def test_a_changed_file_is_parsed_again(annotate: Callable[[str], Annotation], two_genes: Annotation) -> None:
    changed = annotate(TWO_GENES.replace("plus", "other"))
    assert changed.digest != two_genes.digest
    assert changed.genes.gene_id.tolist() == ["minus", "other"]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-100], lambda data: b"", lambda data: b"x" * len(data)],
    ids=["cut short", "empty", "other bytes"],
)
def test_a_damaged_cache_is_replaced(
    annotate: Callable[[str], Annotation],
    two_genes: Annotation,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytes], bytes],
) -> None:
    (kept,) = (tmp_path / "cache").rglob("*.npz")
    sound = kept.read_bytes()
    kept.write_bytes(damage(sound))
    with caplog.at_level(logging.WARNING):
        assert tables_of(annotate(TWO_GENES)) == tables_of(two_genes)
    assert "cannot use the cached annotation" in caplog.text
    assert len(kept.read_bytes()) == len(sound)


def test_a_cache_that_cannot_be_written_is_only_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "genes.gtf").write_text(TWO_GENES)
    (tmp_path / "file").touch()
    genes = Annotation.from_gtf(tmp_path / "genes.gtf", tmp_path / "file" / "cache")
    assert len(genes.genes.gene_id) == 2
    assert "cannot save" in caplog.text


def test_the_default_cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEPSCORE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "genes.gtf").write_text(TWO_GENES)
    Annotation.from_gtf(tmp_path / "genes.gtf")
    assert len(list((tmp_path / "cache" / "annotations").iterdir())) == 1


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="No such file"):
        Annotation.from_gtf(tmp_path / "absent.gtf", tmp_path)
    with pytest.raises(AnnotationError, match="not a regular file"):
        Annotation.from_gtf(tmp_path, tmp_path)


def test_returned_arrays_are_read_only(two_genes: Annotation) -> None:
    pos0, _ = two_genes.splice_sites("chr1", 0, 3000)
    with pytest.raises(ValueError, match="read-only"):
        pos0[0] = 5


@pytest.mark.parametrize(
    ("file", "shift", "classes"),
    [
        ("parity/splice_starts.tsv", -1, {"+": "donor+", "-": "acceptor-"}),
        ("parity/splice_ends.tsv", 0, {"+": "acceptor+", "-": "donor-"}),
    ],
)
def test_splice_sites_of_gencode_are_the_official_ones(
    gencode: Annotation, file: str, shift: int, classes: dict[str, str]
) -> None:
    # The table calls every contig chr16, the few genes of chrX in the annotation's file included.
    rows = [text.split("\t") for text in need(file).read_text().splitlines()[1:]]
    expected = {(int(at) + shift, SPLICE_CLASSES.index(classes[strand])) for _, at, strand in rows}
    found = []
    for chrom in ("chr16", "chrX"):
        pos0, site_class = gencode.splice_sites(chrom, 950_000, 1_610_000)
        chosen = np.isin(site_class, [SPLICE_CLASSES.index(name) for name in classes.values()])
        found += zip(pos0[chosen].tolist(), site_class[chosen].tolist(), strict=True)
    assert len(found) == len(set(found))
    assert set(found) == expected


def test_genes_of_gencode_are_those_of_the_official_scores(gencode: Annotation) -> None:
    import pandas as pd

    variants = pd.read_csv(need("parity/scores_seed0_16k_fp32_human.tsv"), sep="\t")
    scores = pd.read_parquet(
        need("parity/scores_seed0_16k_fp32_human.parquet"),
        columns=["variant", "scorer", "gene_id"],
        filters=[("scorer", "in", ["RNA_SEQ", "SPLICE_SITES", "SPLICE_JUNCTIONS"])],
    ).drop_duplicates()

    def official(variant: str, scorer: str) -> list[str]:
        return scores.gene_id[(scores.variant == variant) & (scores.scorer == scorer)].tolist()

    assert len(variants)
    for row in variants.itertuples():
        with_start = gencode.genes_with_start(row.chrom, row.window_start, row.window_end)
        assert [gene.gene_id for gene, _ in with_start] == official(row.variant, "RNA_SEQ"), row.variant
        pos0 = row.pos - 1
        overlapping = gencode.genes_overlapping(row.chrom, pos0, pos0 + max(len(row.ref), len(row.alt)))
        assert [gene.gene_id for gene in overlapping] == official(row.variant, "SPLICE_SITES"), row.variant
        coding = [gene.gene_id for gene in overlapping if gene.type == "protein_coding"]
        assert coding == official(row.variant, "SPLICE_JUNCTIONS"), row.variant


@pytest.mark.parametrize(
    ("start0", "bases"),
    [
        (1_335_408, {"ENSG00000007516.15": 4570}),
        (1_341_108, {"ENSG00000007516.15": 3200, "ENSG00000007520.4": 1210, "ENSG00000090581.11": 490}),
        (1_437_808, {"ENSG00000197599.13": 1827, "ENSG00000261641.2": 1124, "ENSG00000260051.1": 570}),
    ],
)
def test_exons_of_gencode_are_the_official_masks(
    gencode: Annotation, start0: int, bases: dict[str, int]
) -> None:
    end0 = start0 + 16_384
    found = gencode.genes_with_start("chr16", start0, end0)
    inside = {gene.gene_id: np.clip(exons, start0, end0) for gene, exons in found}
    assert {gene: (exons[:, 1] - exons[:, 0]).sum() for gene, exons in inside.items()} == bases


def test_refseq_whole_genome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = need("data/refseq_hg38.gtf.gz")
    parsed = Annotation.from_gtf(path, tmp_path)
    assert (len(parsed.contigs.names), len(parsed.genes.name)) == (25, 28_000)
    assert (len(parsed.transcripts.gene), len(parsed.exons.start0)) == (65_484, 651_800)
    gene = parsed.transcripts.gene
    assert np.all(parsed.genes.start0[gene] <= parsed.transcripts.start0)
    assert np.all(parsed.genes.end0[gene] >= parsed.transcripts.end0)

    monkeypatch.setattr(annotation_module, "read_gtf", refuse_to_parse)
    cached = Annotation.from_gtf(path, tmp_path)
    (hbb,) = cached.genes_overlapping("NC_000011.10", 5_225_922, 5_225_923)
    assert (hbb.name, hbb.type, hbb.start0, hbb.end0, hbb.strand) == (
        "HBB",
        "protein_coding",
        5_225_465,
        5_227_071,
        "-",
    )
    exons = {gene.name: exons for gene, exons in cached.genes_with_start("7", 117_479_000, 117_481_000)}
    assert len(exons["CFTR"]) == 27
