"""Regions and variants as text: 1-based and inclusive there, 0-based and half-open inside."""

import pytest

from tests.builders import build_genome
from vepscore.errors import GenomeError, UsageError
from vepscore.genome.fasta import Reference
from vepscore.genome.regions import Region, VariantText, parse_region, parse_variant
from vepscore.genome.windows import Window


@pytest.fixture(scope="module")
def reference(tmp_path_factory) -> Reference:
    folder = tmp_path_factory.mktemp("regions")
    return Reference(build_genome(folder).fasta, folder / "cache")


@pytest.mark.parametrize("text", ["chr1:1001-2000", "chr1:1,001-2,000", "1:1001-2000"])
def test_region_is_read_as_samtools_reads_it(reference, text):
    region = parse_region(text, reference)
    assert region == Region(chrom="chr1", start0=1_000, end0=2_000)
    assert (region.width_bp, str(region)) == (1_000, "chr1:1001-2000")


def test_one_base_is_a_region(reference):
    assert parse_region("chr3:6000-6000", reference).width_bp == 1


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("chr1", UsageError, "region 'chr1'\n  expected chrom:start-end, 1-based and inclusive"),
        ("chr1:5-", UsageError, "expected chrom:start-end"),
        ("chr1:20-10", UsageError, "an end that is not before it"),
        ("chr1:0-10", UsageError, "a start of at least 1"),
        ("chr1:1-99999999999", UsageError, "expected chrom:start-end"),
        ("chr9:1-10", GenomeError, "has no contig chr9\n  hint: its first contigs: chr1, chr2, chr3"),
        (
            "chr3:5,990-6,001",
            GenomeError,
            "reaches past the end of chr3: tiny.fa has the positions 1 to 6000",
        ),
    ],
)
def test_what_is_no_region_is_refused(reference, text, error, says):
    with pytest.raises(error) as caught:
        parse_region(text, reference)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["chr1:1,500:g>AT", "chr1-1500-G-at"])
def test_variant_has_two_forms(text):
    assert parse_variant(text) == VariantText(chrom="chr1", pos1=1_500, ref="G", alt="AT")


@pytest.mark.parametrize("text", ["chr1:1000-2000", "chr1:1500:G>", "chr1:1500:<DEL>", "HLA-A:1-10"])
def test_other_texts_are_no_variants(text):
    assert parse_variant(text) is None


def test_region_lies_within_a_window_of_its_contig():
    region = Region(chrom="chr1", start0=10, end0=20)
    assert region.is_within(Window(chrom="chr1", start0=10, end0=20))
    assert not region.is_within(Window(chrom="chr1", start0=11, end0=30))
    assert not region.is_within(Window(chrom="chr2", start0=0, end0=30))
