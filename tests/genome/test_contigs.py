"""Test that names of one contig match across naming schemes, and that ambiguous names match nothing."""

import pytest

from vepscore.genome.contigs import ContigNames, slice_origin

UCSC = ["chr1", "chr10", "chrX", "chrY", "chrM", "chrUn_KI270302v1", "chr1_KI270706v1_random"]
ENSEMBL = ["1", "10", "X", "Y", "MT", "KI270302.1"]
REFSEQ = ["NC_000001.11", "NC_000010.11", "NC_000023.11", "NC_000024.10", "NC_012920.1", "NT_187361.1"]


@pytest.mark.parametrize(
    ("names", "query", "matched"),
    [
        (UCSC, "chr1", "chr1"),
        (UCSC, "1", "chr1"),
        (UCSC, "X", "chrX"),
        (UCSC, "M", "chrM"),
        (UCSC, "MT", "chrM"),
        (UCSC, "chrMT", "chrM"),
        (UCSC, "NC_000001.10", "chr1"),
        (UCSC, "NC_000024.10", "chrY"),
        (UCSC, "NC_012920.1", "chrM"),
        (UCSC, "1_KI270706v1_random", "chr1_KI270706v1_random"),
        (UCSC, "chr2", None),
        (UCSC, "NC_000002.12", None),
        (UCSC, "NT_187361.1", None),
        (UCSC, "chr", None),
        (UCSC, "chrchr1", None),
        (UCSC, "", None),
        (ENSEMBL, "chr10", "10"),
        (ENSEMBL, "chrM", "MT"),
        (ENSEMBL, "M", "MT"),
        (ENSEMBL, "CHRX", "X"),
        (ENSEMBL, "NC_000023.11", "X"),
        (REFSEQ, "chr1", "NC_000001.11"),
        (REFSEQ, "X", "NC_000023.11"),
        (REFSEQ, "MT", "NC_012920.1"),
        (REFSEQ, "NC_000001", None),
        (["NC_000067.7", "NC_000086.8", "NC_005089.1"], "chrX", "NC_000086.8"),
    ],
)
def test_matches_names_across_schemes(names: list[str], query: str, matched: str | None) -> None:
    assert ContigNames(names).match(query) == matched


def test_accessions_of_different_assemblies_do_not_match() -> None:
    assert ContigNames(["NC_000001.11"]).match("NC_000001.10") is None


def test_exact_name_takes_precedence_over_an_alias() -> None:
    names = ContigNames(["chr1", "1"])
    assert (names.match("1"), names.match("chr1")) == ("1", "chr1")
    assert names.aliased == set()


def test_two_candidates_match_none() -> None:
    assert ContigNames(["chr1", "1"]).match("NC_000001.11") is None


def test_duplicate_names_are_one_contig() -> None:
    assert ContigNames(["chr1", "chr1"]).match("1") == "chr1"


def test_aliased_lists_matches_of_other_names() -> None:
    names = ContigNames(["chr1", "chrM"])
    for query in ("chr1", "1", "1", "MT", "7"):
        names.match(query)
    assert names.aliased == {("1", "chr1"), ("MT", "chrM")}


@pytest.mark.parametrize(
    ("name", "origin"),
    [
        ("chr1:1-200", ("chr1", 0)),
        ("chr1:101-200", ("chr1", 100)),
        ("chr1", ("chr1", 0)),
        ("chr1:101", ("chr1:101", 0)),
        ("HLA-A*01:01:01:01", ("HLA-A*01:01:01:01", 0)),
    ],
)
def test_origin_of_a_slice_is_0_based(name: str, origin: tuple[str, int]) -> None:
    assert slice_origin(name) == origin
