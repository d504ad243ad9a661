"""Recognize assemblies by chromosome lengths and by names."""

import gzip

import pytest

from tests.paths import need
from vepscore.genome.assemblies import assembly_of_length, assembly_of_lengths, assembly_of_text


@pytest.mark.parametrize(
    ("text", "assembly"),
    [
        ("b37", "GRCh37"),
        ("file:///ref/human_g1k_v37.fasta", "GRCh37"),
        ("ucsc.hg19.fasta", "GRCh37"),
        ("hs37d5", "GRCh37"),
        ("GRCh38.p14", "GRCh38"),
        ("Homo_sapiens_assembly38.fasta", "GRCh38"),
        ("hg38", "GRCh38"),
        ("T2T-CHM13v2.0", "T2T-CHM13"),
        ("GRCm38", "GRCm38"),
        ("mm39.fa", "GRCm39"),
        ("lifted from hg19 to hg38", ""),
        ("hg380", ""),
        ("my.fa", ""),
    ],
)
def test_an_assembly_has_several_names(text: str, assembly: str) -> None:
    assert assembly_of_text(text) == assembly


def test_the_lengths_of_most_chromosomes_decide() -> None:
    assert assembly_of_length(248_956_422) == "GRCh38"
    assert assembly_of_lengths([248_956_422, 242_193_529, 59_373_566, 16_569]) == "GRCh38"
    assert assembly_of_lengths([30_000]) == ""


def test_lengths_are_those_of_the_chains_of_ucsc() -> None:
    found = {"GRCh37": set(), "GRCh38": set()}
    with gzip.open(need("data/hg19ToHg38.over.chain.gz"), "rt") as lines:
        for line in lines:
            if line.startswith("chain"):
                fields = line.split()
                for assembly, (chrom, length) in zip(found, (fields[2:4], fields[7:9]), strict=True):
                    if "_" not in chrom and chrom != "chrM":
                        found[assembly].add(int(length))
    for assembly, lengths in found.items():
        assert {assembly_of_length(length) for length in lengths} == {assembly}
    assert len(found["GRCh37"]) == 24
