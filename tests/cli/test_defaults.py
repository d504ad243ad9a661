"""What a checkpoint's `config.json` names as defaults is what commands use, and they say so."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import typer.main

from tests.builders import vcf_row, write_vcf
from tests.cli.here import Ended, process_restored, run_here
from tests.cli.scoring import Bench
from vepscore.cli.main import app
from vepscore.cli.pictures import open_predictor
from vepscore.engine.job import Job, resolve_defaults
from vepscore.errors import CheckpointError, UsageError
from vepscore.options import ComputeOptions, GenomeOptions, ModelOptions, WindowOptions
from vepscore.options.option_types import AUTO, Precision, parse_window

WINDOW_BP = 18_432
OUTSIDE = vcf_row("chr1", 9_000, 1, "~")
SYMBOLIC = vcf_row("chr1", 16_000, 1, "<DEL>")


@pytest.fixture(scope="module")
def checkpoint(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny checkpoint with another window and default scorers."""
    folder = shutil.copytree(bench.checkpoint, tmp_path_factory.mktemp("defaults") / "tiny")
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(
        json.dumps(config | {"window_bp": WINDOW_BP, "scorers": ["SPLICE_SITES", "SPLICE_EVENTS"]})
    )
    return folder


def score(
    bench: Bench, checkpoint: Path, folder: Path, *rows: tuple[str, ...], options: tuple[str, ...]
) -> Ended:
    """Score rows of which nothing is computed, so that nothing is compiled."""
    source = write_vcf(folder / "in.vcf", *rows)
    genome = ("-r", bench.genome.fasta, "-g", bench.genome.gtf)
    return run_here("score", source, *genome, "-c", checkpoint, "-o", folder / "out.vcf", *options)


def header_of(folder: Path) -> dict[str, str]:
    lines = (line for line in (folder / "out.vcf").read_text().splitlines() if line.startswith("##"))
    return dict(line.removeprefix("##").partition("=")[::2] for line in lines)


def test_defaults_are_taken_and_said(bench: Bench, checkpoint: Path, tmp_path: Path) -> None:
    ended = score(bench, checkpoint, tmp_path, OUTSIDE, options=())
    assert ended.status == 0
    assert "window of 18,432 bp, the default of tiny\n" in ended.said
    assert "scorers: SPLICE_SITES, SPLICE_EVENTS; not run: ATAC, " in ended.said
    assert "not scored (no default of this checkpoint; -s NAME or -s all runs them): ATAC, " in ended.said
    header = header_of(tmp_path)
    assert header["vepscoreWindow"] == "18432 bp"
    assert header["vepscoreScorers"] == "SPLICE_SITES,SPLICE_EVENTS"
    not_run, _, remedy = header["vepscoreScorersNotRun"].partition(" ")
    assert {"ATAC", "RNA_SEQ", "SPLICE_JUNCTIONS"} <= set(not_run.split(","))
    assert remedy == "(no default of this checkpoint; -s NAME or -s all runs them)"


def test_what_is_asked_for_takes_the_place_of_the_defaults(
    bench: Bench, checkpoint: Path, tmp_path: Path
) -> None:
    ended = score(bench, checkpoint, tmp_path, SYMBOLIC, options=("-s", "all", "--window", "16kb"))
    assert ended.status == 0 and "default" not in ended.said
    header = header_of(tmp_path)
    assert header["vepscoreWindow"] == "16384 bp"
    assert {"ATAC", "RNA_SEQ", "SPLICE_SITES"} <= set(header["vepscoreScorers"].split(","))
    assert "vepscoreScorersNotRun" not in header


def test_background_is_scored_with_every_scorer(bench: Bench, checkpoint: Path, tmp_path: Path) -> None:
    """The log of a run names the scorers that it leaves out."""
    source = write_vcf(tmp_path / "background.vcf", SYMBOLIC)
    genome = ("-r", bench.genome.fasta, "-g", bench.genome.gtf)
    ended = run_here("calibrate", source, *genome, "-c", checkpoint, "-o", tmp_path / "made")
    assert ended.status == 1 and "no allele of the input was scored" in ended.said
    assert "window of 18,432 bp" in ended.said and "not run: " not in ended.said


@pytest.mark.parametrize(("rows", "status"), [([OUTSIDE], 0), ([OUTSIDE, SYMBOLIC], 3)])
def test_strict_takes_an_allele_that_no_scorer_applies_to(
    bench: Bench, checkpoint: Path, tmp_path: Path, rows: list[tuple[str, ...]], status: int
) -> None:
    ended = score(bench, checkpoint, tmp_path, *rows, options=("--strict",))
    assert ended.status == status, ended.said
    assert "VS_STATUS=NOT_APPLICABLE;" in (tmp_path / "out.vcf").read_text()


def test_info_shows_the_defaults(checkpoint: Path, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here("weights", "info", checkpoint).status == 0
    shown = capsys.readouterr().out
    assert "18,432 bp" in shown and "SPLICE_SITES, SPLICE_EVENTS" in shown
    assert run_here("weights", "info", bench.checkpoint).status == 0
    assert "all that can run" in capsys.readouterr().out


def test_window_is_auto_in_every_command_that_runs_a_network() -> None:
    commands = typer.main.get_command(app).commands
    windows = {
        name: option.default
        for name, command in commands.items()
        for option in command.params
        if option.name == "window"
    }
    assert windows == dict.fromkeys(("score", "predict", "ism", "calibrate", "report", "plot"), AUTO)


def test_window_of_a_checkpoint_in_the_official_layout_is_1_mb(
    official: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert resolve_defaults(job_of(str(official))).window_bp == 1 << 20
    assert "window of 1,048,576 bp, the default of checkpoint" in caplog.text


def job_of(checkpoint: str | None, window: str = AUTO) -> Job:
    windows = WindowOptions(window=parse_window(window))
    return Job(
        genome=GenomeOptions(reference=Path("ref.fa")),
        model=ModelOptions(checkpoint=checkpoint),
        windows=windows,
    )


def test_window_that_is_given_is_kept() -> None:
    assert resolve_defaults(job_of(None, "32kb")).window_bp == 32_768
    with pytest.raises(CheckpointError, match="'absent' is neither the name of a checkpoint nor a directory"):
        resolve_defaults(job_of("absent"))
    with pytest.raises(UsageError, match="window width '17kb'"):
        job_of(None, "17kb")


@pytest.mark.parametrize(
    ("window", "scores", "expected"),
    [
        ("auto", {"vepscoreWindow": "32768 bp"}, 32_768),
        ("auto", {"vepscoreWindow": "of another kind"}, WINDOW_BP),
        ("auto", None, WINDOW_BP),
        ("16kb", {"vepscoreWindow": "32768 bp"}, 16_384),
    ],
)
def test_pictures_have_the_window_of_the_scores(
    bench: Bench, checkpoint: Path, window: str, scores: dict[str, str] | None, expected: int
) -> None:
    with process_restored():
        predictor = open_predictor(
            bench.genome.fasta,
            ModelOptions(checkpoint=str(checkpoint), precision=Precision.FLOAT32),
            WindowOptions(window=parse_window(window)),
            ComputeOptions(),
            scores,
        )
    assert predictor.info.metadata.window_bp == expected
