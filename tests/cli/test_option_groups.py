"""Commands take options by whole groups."""

import logging
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from vepscore.cli.option_groups import changed, expand, only, without
from vepscore.errors import UsageError
from vepscore.options import ComputeOptions, GenomeOptions, RunOptions, ScorerOptions
from vepscore.options.option_types import Parallelism, Shard

taken: dict[str, object] = {}


def command(
    source: Annotated[str, typer.Argument()],
    genome: GenomeOptions,
    scoring: Annotated[ScorerOptions, only("scorers"), changed("scorers", help="Another help.")],
    compute: Annotated[ComputeOptions, without("batch")],
    run: RunOptions,
    fast: bool = False,
) -> None:
    """Do something."""
    taken.update(source=source, genome=genome, scoring=scoring, compute=compute, run=run, fast=fast)


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command()(expand(command))
    return app


def test_options_arrive_in_their_groups(app: typer.Typer) -> None:
    words = ["in.vcf", "-r", "ref.fa", "-s", "ATAC", "-s", "DNASE", "--shard", "2/4", "--no-resume", "--fast"]
    CliRunner().invoke(app, words, catch_exceptions=False)
    assert taken == {
        "source": "in.vcf",
        "genome": GenomeOptions(reference=Path("ref.fa")),
        "scoring": ScorerOptions(scorers=("ATAC", "DNASE")),
        "compute": ComputeOptions(),
        "run": RunOptions(shard=Shard(2, 4), resume=False),
        "fast": True,
    }


def test_help_has_the_options_of_the_command_only(app: typer.Typer) -> None:
    text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "Another help." in text and "--shard" in text
    assert "--batch" not in text and "--quantiles" not in text and "--split" not in text


def test_former_name_is_accepted_with_a_warning(app: typer.Typer, caplog: pytest.LogCaptureFixture) -> None:
    words = ["in.vcf", "-r", "ref.fa", "--split", "positions"]
    with caplog.at_level(logging.WARNING):
        CliRunner().invoke(app, words, catch_exceptions=False)
    compute = taken["compute"]
    assert isinstance(compute, ComputeOptions) and compute.parallelism is Parallelism.SEQUENCE
    assert caplog.messages == [
        "--split positions is now --parallelism sequence; the old name works until version 0.3"
    ]


def test_former_values_only_go_with_the_former_name(app: typer.Typer) -> None:
    with pytest.raises(UsageError, match="--split data\n  expected one of windows, positions"):
        CliRunner().invoke(app, ["in.vcf", "-r", "ref.fa", "--split", "data"], catch_exceptions=False)
