"""Files of different assemblies give one warning; other names of a contig give none."""

import dataclasses
from pathlib import Path

import pytest

from tests.builders import CONTIGS, TinyGenome, build_genome, gtf_text
from tests.paths import need
from vepscore.genome.annotation import Annotation
from vepscore.genome.consistency import (
    ContigSource,
    check_files,
    check_record_contigs,
    contigs_of_reference,
    find_contradiction,
    find_missing_contigs,
)
from vepscore.genome.fasta import Reference

GRCH37, GRCH38 = 249_250_621, 248_956_422


def source(file: str, stated: str = "", **lengths: int) -> ContigSource:
    return ContigSource(file=file, contigs=tuple(lengths), lengths=lengths, stated=stated)


FASTA = source("hg38.fa", chr1=GRCH38, chrM=16_569)
GENES = dataclasses.replace(source("v19.gtf", chr1=249_240_000), is_annotation=True)


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("consistency"))


def lines_of(*sources: ContigSource) -> list[str]:
    found = find_contradiction(sources)
    return [] if found is None else found.message.splitlines()


def test_different_lengths_give_one_warning_that_quotes_each_file() -> None:
    header = source(
        "header of in.vcf",
        "assembly=b37, reference=GRCh37",
        **{"1": GRCH37, "2": 243_199_373, "MT": 16_569},
    )
    fasta = source("hg38.fa", chr1=GRCH38, chr2=242_193_529, chrM=16_569)
    assert lines_of(header, fasta, GENES)[:-1] == [
        "the files contradict each other; are they of the same assembly?",
        "  header of in.vcf: 1 has 249,250,621 bp (GRCh37); states assembly=b37, reference=GRCh37",
        "  hg38.fa: chr1 has 248,956,422 bp (GRCh38)",
        "  v19.gtf: genes on chr1 up to 249,240,000",
        "  1 more contigs differ",
    ]


@pytest.mark.parametrize("name", ["chr1", "1", "NC_000001.11"])
def test_contigs_are_compared_under_any_name(name: str) -> None:
    assert lines_of(source("in.vcf", **{name: GRCH38}), FASTA) == []
    assert f"  in.vcf: {name} has 248,956,423 bp" in lines_of(source("in.vcf", **{name: GRCH38 + 1}), FASTA)


@pytest.mark.parametrize(
    "other",
    [
        source("in.vcf"),
        source("in.vcf", chr7=5),
        source("in.vcf", "reference=hg38.fa"),
        source("in.vcf", "reference=my.fa"),
        source("in.vcf", "reference=GRCh37", chr1=GRCH38),
        source("slices.fa", **{"chr1:10001-207666": 197_666}),
        dataclasses.replace(source("v48.gtf", chr1=GRCH38), is_annotation=True),
    ],
    ids=lambda other: f"{other.stated or other.file}",
)
def test_no_warning_if_files_agree_or_state_nothing(other: ContigSource) -> None:
    assert lines_of(other, FASTA) == []


def test_real_slices_of_a_genome_do_not_contradict_its_header(tmp_path: Path) -> None:
    slices = contigs_of_reference(Reference(need("data/hg38_slices.fa.gz"), tmp_path))
    whole = source("in.vcf", "reference=hg38", chr1=GRCH38)
    parts = source("slices.vcf", **{"chr1:10001-207666": 197_666})
    assert lines_of(whole, slices) == lines_of(parts, slices) == []


def test_stated_assembly_counts_if_lengths_do_not_identify_one() -> None:
    for header in (source("in.vcf", "reference=GRCh37"), source("in.vcf", "reference=GRCh37", MT=16_569)):
        assert lines_of(header, FASTA)[1:-1] == [
            "  in.vcf: states reference=GRCh37",
            "  hg38.fa: chr1 has 248,956,422 bp (GRCh38)",
        ]


def test_genes_past_the_end_of_a_contig(
    genome: TinyGenome, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gtf = tmp_path / "past.gtf"
    gtf.write_text("#!genome-build GRCh37.p13\n" + gtf_text().replace("\t29800\t", "\t31800\t"))
    reference = Reference(genome.fasta, tmp_path)
    (warning,) = check_files(reference=reference, annotation=Annotation.from_gtf(gtf, tmp_path))
    assert warning.kind == "contradiction"
    assert warning.message.splitlines()[1:3] == [
        "  tiny.fa: chr1 has 30,000 bp",
        "  past.gtf: genes on chr1 up to 31,800; states genome-build GRCh37.p13",
    ]
    assert warning.message in caplog.text
    assert check_files(reference=reference, annotation=Annotation.from_gtf(genome.gtf, tmp_path)) == []


def test_missing_contigs_give_a_warning_with_the_names_in_both_files() -> None:
    t2t = source("t2t.fa", **{"NC_060925.1": 5, "NC_060926.1": 5})
    warning = find_missing_contigs({"chr1": 2, "chr2": 1}, t2t, unit="records")
    assert warning.kind == "contigs not found"
    assert warning.message.splitlines()[:3] == [
        "3 of 3 records are on contigs that t2t.fa does not have",
        "  the records: chr1, chr2",
        "  t2t.fa: NC_060925.1, NC_060926.1",
    ]


def test_a_few_records_on_unknown_contigs_give_no_warning() -> None:
    scaffolds = {f"chrUn_{number}": 1 for number in range(40)}
    assert find_missing_contigs({"1": 41, **scaffolds}, FASTA, unit="records") is None
    assert find_missing_contigs({"1": 39, **scaffolds}, FASTA, unit="records") is not None
    assert find_missing_contigs({}, FASTA, unit="records") is None


def test_genes_on_contigs_missing_from_the_reference(genome: TinyGenome, tmp_path: Path) -> None:
    gtf = tmp_path / "t2t.gtf"
    gtf.write_text(gtf_text().replace("chr1\t", "NC_060925.1\t").replace("chr3\t", "NC_060927.1\t"))
    reference, annotation = Reference(genome.fasta, tmp_path), Annotation.from_gtf(gtf, tmp_path)
    (warning,) = check_files(reference=reference, annotation=annotation)
    assert warning.message.splitlines()[:3] == [
        "t2t.gtf and tiny.fa have no contigs in common, so no genes are scored",
        "  t2t.gtf: NC_060925.1, NC_060927.1",
        "  tiny.fa: chr1, chr2, chr3",
    ]
    (warning,) = check_record_contigs({"chr1": 1}, unit="alleles", reference=None, annotation=annotation)
    assert "1 of 1 alleles are on contigs that t2t.gtf does not have" in warning.message


@pytest.mark.parametrize("gene", ["SMALL", "LAST"])
def test_an_annotation_of_a_few_genes_gives_no_warning(genome: TinyGenome, tmp_path: Path, gene: str) -> None:
    gtf = tmp_path / f"{gene}.gtf"
    gtf.write_text("".join(line for line in gtf_text().splitlines(keepends=True) if gene in line))
    reference = Reference(genome.fasta, tmp_path)
    assert check_files(reference=reference, annotation=Annotation.from_gtf(gtf, tmp_path)) == []


def test_a_reference_of_one_contig_matches_an_annotation_of_all(genome: TinyGenome, tmp_path: Path) -> None:
    fasta = tmp_path / "chr3.fa"
    fasta.write_text(">chr3\n" + "A" * CONTIGS["chr3"] + "\n")
    annotation = Annotation.from_gtf(genome.gtf, tmp_path)
    assert check_files(reference=Reference(fasta, tmp_path), annotation=annotation) == []
