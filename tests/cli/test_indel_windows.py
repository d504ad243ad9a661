"""In which windows an indel's alternate allele is predicted: the option, the checkpoint's default, what is recorded."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.builders import (
    WINDOW_BP,
    TinyGenome,
    build_checkpoint,
    build_genome,
    sequences,
    vcf_row,
    write_vcf,
)
from tests.cli.here import Ended, run_here

ROWS = (
    vcf_row("chr1", 14_199, 1, "~"),
    vcf_row("chr1", 15_000, 3, sequences()["chr1"][15_000]),
    vcf_row("chr1", 16_000, 1, "~TGC"),
    (
        "chr1",
        "17001",
        ".",
        *("CG" if sequences()["chr1"][17_000] != "C" else "GC"),
    ),  # REF is not the reference's
)
SAME_LENGTH, INDELS = [0], [1, 2]
OFFICIAL = ("--as-written", "--indel-anchor", "left", "--on-ref-mismatch", "substitute")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("genome"))


@pytest.fixture(scope="module")
def left_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint(tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture(scope="module")
def both_checkpoint(left_checkpoint: Path) -> Path:
    """The same network with the other default."""
    folder = shutil.copytree(left_checkpoint, left_checkpoint.with_name("both"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"indel_anchor": "both"}))
    return folder


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vcf(tmp_path_factory.mktemp("source") / "in.vcf", *ROWS)


def score(genome: TinyGenome, source: Path, checkpoint: Path, table: Path, *options: str) -> Ended:
    files = ["score", source, "-r", genome.fasta, "-g", genome.gtf, "-c", checkpoint, "--table", table]
    outputs = ["-o", table.with_suffix(".vcf"), "--window", str(WINDOW_BP), "-q"]
    return run_here(*files, *outputs, "-s", "SPLICE_SITES", "-s", "DNASE", *options)


def read(table: Path) -> tuple[dict[str, str], pd.DataFrame]:
    """The facts that the table begins with, and its rows."""
    lines = [line for line in table.read_text().splitlines() if line.startswith("##")]
    facts = dict(line.removeprefix("##").split("=", 1) for line in lines)
    return facts, pd.read_csv(table, sep="\t", comment="#")


def test_option_changes_the_scores_of_indels_alone(
    genome: TinyGenome, source: Path, left_checkpoint: Path, tmp_path: Path
) -> None:
    scored = {}
    for anchor in ("left", "both"):
        table = tmp_path / f"{anchor}.tsv"
        assert score(genome, source, left_checkpoint, table, "--indel-anchor", anchor).status == 0
        facts, scored[anchor] = read(table)
        assert facts["vepscoreIndelAnchor"] == anchor
        assert f"##vepscoreIndelAnchor={anchor}" in table.with_suffix(".vcf").read_text().splitlines()
    left, both = (scored[anchor].filter(like="VS_").drop(columns="VS_STATUS") for anchor in ("left", "both"))
    pd.testing.assert_frame_equal(left.loc[SAME_LENGTH], both.loc[SAME_LENGTH])
    assert (left.loc[INDELS, "VS_DNASE"] != both.loc[INDELS, "VS_DNASE"]).all()


@pytest.mark.parametrize(("options", "recorded"), [((), "both"), (("--indel-anchor", "left"), "left")])
def test_checkpoint_decides_unless_the_option_does(
    genome: TinyGenome,
    source: Path,
    both_checkpoint: Path,
    tmp_path: Path,
    options: tuple[str, ...],
    recorded: str,
) -> None:
    assert score(genome, source, both_checkpoint, tmp_path / "out.tsv", *options).status == 0
    facts, _ = read(tmp_path / "out.tsv")
    assert facts["vepscoreIndelAnchor"] == recorded


def test_official_is_its_three_conventions_together(
    genome: TinyGenome, source: Path, both_checkpoint: Path, tmp_path: Path
) -> None:
    found = []
    for name, options in {"one": ("--official",), "three": OFFICIAL}.items():
        assert score(genome, source, both_checkpoint, tmp_path / f"{name}.tsv", *options).status == 0
        facts, rows = read(tmp_path / f"{name}.tsv")
        found.append((facts, rows))
    (facts, rows), (expected_facts, expected) = found
    assert facts == expected_facts
    assert (facts["vepscoreAlleles"], facts["vepscoreOnRefMismatch"]) == ("as written", "substitute")
    assert list(rows["VS_STATUS"]) == ["OK"] * len(ROWS)
    pd.testing.assert_frame_equal(rows, expected)


@pytest.mark.parametrize(
    ("option", "value", "implied"),
    [("--indel-anchor", "both", "left"), ("--on-ref-mismatch", "error", "substitute")],
)
def test_options_that_contradict_official_are_refused(
    genome: TinyGenome,
    source: Path,
    left_checkpoint: Path,
    tmp_path: Path,
    option: str,
    value: str,
    implied: str,
) -> None:
    ended = score(genome, source, left_checkpoint, tmp_path / "out.tsv", "--official", option, value)
    assert ended.status == 2
    assert f"--official means {option} {implied}" in ended.said
    assert not (tmp_path / "out.tsv").exists()
