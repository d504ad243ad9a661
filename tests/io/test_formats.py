"""Formats of results are found by themselves, one module each."""

import pytest

from vepscore.errors import UsageError
from vepscore.io.formats import OutputOptions, formats, output_for
from vepscore.io.output_file import OutputFile


def test_formats_are_found_the_default_one_first() -> None:
    assert [kind.name for kind in formats()] == ["vcf", "long_table", "spliceai", "table"]
    assert [kind.is_default for kind in formats()] == [True, False, False, False]


@pytest.mark.parametrize(
    ("path", "name"), [("-", "vcf"), ("a.vcf.gz", "vcf"), ("a.bcf", "vcf"), ("a.parquet", "long_table")]
)
def test_format_is_chosen_by_the_suffix(path: str, name: str) -> None:
    output = output_for(path)
    assert (output.path, output.name) == (path, name)


def test_unknown_suffix_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"expected a name that ends in \.vcf, \.vcf\.gz, \.bcf or \.parquet"
    ):
        output_for("a.txt")


def test_options_name_the_outputs() -> None:
    values = {"output": ("a.vcf", "b.parquet"), "table": "c.tsv", "spliceai": None}
    found = OutputOptions.build(values).outputs
    assert [(output.name, output.path) for output in found] == [
        ("vcf", "a.vcf"),
        ("long_table", "b.parquet"),
        ("table", "c.tsv"),
    ]
    (only,) = OutputOptions.build({"output": None, "table": None, "spliceai": None}).outputs
    assert only == output_for("-")


def test_output_that_lacks_its_scorer_is_refused() -> None:
    (spliceai,) = (kind("a.vcf") for kind in formats() if kind.name == "spliceai")
    assert isinstance(spliceai, OutputFile)
    spliceai.check_scorers(["SPLICE_EVENTS"], {})
    with pytest.raises(UsageError, match="nothing to write there\n  SPLICE_EVENTS: needs genes"):
        spliceai.check_scorers(["ATAC"], {"SPLICE_EVENTS": "needs genes"})
