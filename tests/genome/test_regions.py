"""Parse regions and variants: 1-based and inclusive as text, 0-based and half-open as objects."""

from pathlib import Path

import pytest

from tests.builders import build_genome
from tests.paths import need
from vepscore.errors import GenomeError, UsageError
from vepscore.genome.fasta import Reference
from vepscore.genome.regions import Region, VariantText, parse_region, parse_variant
from vepscore.genome.windows import Window


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("regions")
    return Reference(build_genome(folder).fasta, folder / "cache")


@pytest.mark.parametrize("text", ["chr1:1001-2000", "chr1:1,001-2,000", "1:1001-2000"])
def test_region_is_parsed_like_samtools(reference: Reference, text: str) -> None:
    region = parse_region(text, reference)
    assert region == Region(chrom="chr1", start0=1_000, end0=2_000)
    assert (region.width_bp, str(region)) == (1_000, "chr1:1001-2000")


HLA, SLICE = "HLA-A*01:01:01:01", "chr1:10001-207666"


@pytest.fixture(scope="module")
def with_colons(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    folder = tmp_path_factory.mktemp("colons")
    return Reference(build_genome(folder, [HLA, SLICE, "chr3"]).fasta, folder / "cache")


@pytest.mark.parametrize(
    ("text", "chrom", "start0", "end0"),
    [
        (HLA, HLA, 0, 30_000),
        (f"{HLA}:14,001-16,100", HLA, 14_000, 16_100),
        (f"{HLA}:14001", HLA, 14_000, 14_001),
        (f"{{{HLA}}}:14001-", HLA, 14_000, 30_000),
        (f"{{{HLA}}}", HLA, 0, 30_000),
        (SLICE, SLICE, 0, 24_000),
        (f"{SLICE}:5-10", SLICE, 4, 10),
        ("chr3", "chr3", 0, 6_000),
        ("3:5-", "chr3", 4, 6_000),
    ],
)
def test_name_of_a_contig_may_have_colons(
    with_colons: Reference, text: str, chrom: str, start0: int, end0: int
) -> None:
    assert parse_region(text, with_colons) == Region(chrom=chrom, start0=start0, end0=end0)


def test_real_slices_are_contigs_and_have_parts(tmp_path: Path) -> None:
    slices = Reference(need("data/hg38_slices.fa.gz"), tmp_path)
    assert parse_region(SLICE, slices) == Region(chrom=SLICE, start0=0, end0=197_666)
    assert parse_region(f"{SLICE}:500-510", slices) == Region(chrom=SLICE, start0=499, end0=510)
    with pytest.raises(GenomeError, match="has no contig chr1\n"):
        parse_region("chr1:10001-207667", slices)


@pytest.mark.parametrize(
    ("text", "chrom", "pos1"),
    [(f"{HLA}:14200:C>T", HLA, 14_200), (f"{HLA}-14200-C-T", HLA, 14_200), (f"{SLICE}:5:C>T", SLICE, 5)],
)
def test_variant_on_a_contig_with_colons(text: str, chrom: str, pos1: int) -> None:
    assert parse_variant(text) == VariantText(chrom=chrom, pos1=pos1, ref="C", alt="T")


@pytest.mark.parametrize("or_variant", [False, True])
def test_error_mentions_variants_if_they_are_allowed(reference: Reference, or_variant: bool) -> None:
    with pytest.raises(UsageError) as caught:
        parse_region("chr1:x", reference, or_variant=or_variant)
    assert ("or a variant: " in str(caught.value)) == or_variant


def test_one_base_is_a_region(reference: Reference) -> None:
    assert parse_region("chr3:6000-6000", reference).width_bp == 1


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (
            "",
            UsageError,
            "region ''\n  expected CONTIG, CONTIG:POS or CONTIG:START-END, 1-based and inclusive",
        ),
        ("chr1:x", UsageError, "expected CONTIG, CONTIG:POS"),
        ("{chr1}:x", UsageError, "expected CONTIG, CONTIG:POS"),
        ("{chr1:1-10}", GenomeError, "has no contig chr1:1-10"),
        ("chr9", GenomeError, "has no contig chr9"),
        ("chr3:6001-", GenomeError, "extends past the end of chr3"),
        ("chr1:,-5", UsageError, "expected CONTIG, CONTIG:POS"),
        ("chr1:20-10", UsageError, "an end not before the start"),
        ("chr1:0-10", UsageError, "if this is the name of a contig, write {chr1:0-10}"),
        ("chr1:1-99999999999", UsageError, "expected CONTIG, CONTIG:POS"),
        ("chr9:1-10", GenomeError, "has no contig chr9\n  hint: its first contigs: chr1, chr2, chr3"),
        (
            "chr3:5,990-6,001",
            GenomeError,
            "extends past the end of chr3, which has 6000 bp in tiny.fa",
        ),
    ],
)
def test_invalid_region_is_refused(
    reference: Reference, text: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        parse_region(text, reference)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["chr1:1,500:g>AT", "chr1-1500-G-at"])
def test_variant_has_two_forms(text: str) -> None:
    assert parse_variant(text) == VariantText(chrom="chr1", pos1=1_500, ref="G", alt="AT")


@pytest.mark.parametrize("text", ["chr1:1000-2000", "chr1:1500:G>", "chr1:1500:<DEL>", "HLA-A:1-10"])
def test_other_texts_are_not_variants(text: str) -> None:
    assert parse_variant(text) is None


def test_region_lies_within_a_window_of_its_contig() -> None:
    region = Region(chrom="chr1", start0=10, end0=20)
    assert region.is_within(Window(chrom="chr1", start0=10, end0=20))
    assert not region.is_within(Window(chrom="chr1", start0=11, end0=30))
    assert not region.is_within(Window(chrom="chr2", start0=0, end0=30))
