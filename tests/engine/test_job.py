"""What a job refuses before it starts; whole jobs are in tests/cli/test_score.py."""

from pathlib import Path

import pytest

from vepscore.engine.job import check_outputs
from vepscore.errors import UsageError


@pytest.mark.parametrize(
    ("outputs", "table"),
    [(["-"], None), (["a.vcf", "a.vcf.gz", "a.bcf", "a.parquet", "-"], "b.parquet"), (["-"], "a.tsv.gz")],
)
def test_outputs_of_all_kinds_are_accepted(outputs, table):
    check_outputs("in.vcf", outputs, Path(table) if table else None)


@pytest.mark.parametrize(
    ("outputs", "table", "said"),
    [
        (["a.txt"], None, "output a.txt\nexpected a name that ends in .vcf, .vcf.gz, .bcf or .parquet"),
        (["-"], "a.csv", "table a.csv\nexpected a name that ends in .tsv, .tsv.gz, .parquet"),
        (["a.vcf", "b.bcf", "a.vcf"], None, "two outputs have one name: a.vcf"),
        (["-", "-"], None, "two outputs have one name: -"),
        (["a.parquet"], "a.parquet", "two outputs have one name: a.parquet"),
        (["a.vcf", "./a.vcf"], None, "two outputs have one name: a.vcf, ./a.vcf"),
        (["folder/../a.parquet"], "a.parquet", "two outputs have one name: folder/../a.parquet, a.parquet"),
        (["./in.vcf"], None, "output in.vcf is the input, which it would replace"),
    ],
)
def test_impossible_outputs_are_refused(outputs, table, said):
    with pytest.raises(UsageError) as caught:
        check_outputs("in.vcf", outputs, Path(table) if table else None)
    assert str(caught.value).startswith(said.replace("\n", "\n  "))
