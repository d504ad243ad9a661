"""A run of `[splicing]` from the command line: its checkpoints, resuming, and errors."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from flax import nnx

from tests.builders import tiny_config, tiny_tracks
from tests.cli.commands import vepscore
from tests.networks.alphagenome.tiny import create_random
from tests.train.splicing.toy_splicing import write_recipe, write_teacher
from tests.train.toy import RECIPE, write_toy
from vepscore.cli.train import train as train_command
from vepscore.errors import OutputError, TrainingError, UsageError
from vepscore.model.checkpoint import (
    CheckpointConfig,
    checkpoint_digest,
    load_checkpoint,
    read_config,
    save_checkpoint,
    verify_checkpoint,
)
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.compact.compact_config import SPLICING
from vepscore.outputs import Output
from vepscore.train.recipe import SplicingRecipe, read_recipe

KEPT = (Output.CAGE, Output.DNASE, Output.CONTACT_MAPS)


def write_student(folder: Path, seed: int = 0) -> Path:
    """Write a network of the other family with splicing and other outputs."""
    sizes = tiny_config()
    heads = {output: sizes.heads[output] for output in (*KEPT, Output.SPLICE_SITES, Output.SPLICE_JUNCTIONS)}
    sizes = dataclasses.replace(sizes, organisms=1, heads=heads)
    config = CheckpointConfig(
        name="student",
        architecture=sizes,
        organisms=("human",),
        window_bp=16_384,
        license="Apache-2.0",
        training={"recipe": "abc"},
    )
    tracks = {output: table for output, table in tiny_tracks().items() if output in heads}
    save_checkpoint(
        folder, create_random(lambda: AlphaGenome(sizes, rngs=nnx.Rngs(0)), seed), config, {"human": tracks}
    )
    return folder


def arrays(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data directory, with recipe, teacher and student."""
    folder = tmp_path_factory.mktemp("toy-splicing")
    write_toy(folder)
    write_teacher(folder)
    write_student(folder / "student")
    write_recipe(folder, RECIPE)
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    arguments = ("--fraction", "0.6", "--student", str(folder / "student"))
    done = vepscore("train", str(folder / "splicing.toml"), str(folder), "-o", str(output), *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(output / "checkpoint")
    missing = folder / "none.fa"
    assert f"{missing} is not there; splicing is trained without it" in " ".join(done.stderr.split())
    return output


def test_run_writes_the_stack_and_the_whole_network(folder: Path, trained: Path) -> None:
    assert {path.name for path in trained.iterdir()} == {"labels", "splicing", "checkpoint"}
    assert {path.name for path in (trained / "splicing").iterdir()} == {
        *("config.json", "tracks.parquet", "model.safetensors", "SHA256SUMS"),
        *("log.jsonl", "log-junctions.jsonl"),
    }
    assert {path.name.split("_")[0] for path in trained.glob("labels/*/*.npy")} == {"chr1", "chr2", "mm10"}
    for name, outputs in (("splicing", SPLICING), ("checkpoint", {*SPLICING, *KEPT})):
        verify_checkpoint(trained / name)
        checkpoint = load_checkpoint(trained / name)
        assert checkpoint.config.family == "compact" and set(checkpoint.tracks) == outputs
        assert (checkpoint.config.window_bp, checkpoint.config.scorers) == (16_384, ("SPLICE_SITES",))
        shown = vepscore("weights", "info", str(trained / name)).stdout
        assert f"{checkpoint.config.training['parameters']:,}" in re.findall(r"parameters: +(\S+)", shown)
        assert checkpoint.config.training["more_sequence"] == ["more.fa"]
        (teacher,) = checkpoint.config.training["splicing_teachers"]
        assert (teacher["name"], teacher["license"], teacher["citation"]) == ("teacher", "MIT", "Doe 2024")
    assert read_config(trained / "checkpoint").training["student"] == {"recipe": "abc"}
    whole, stack, student = (
        arrays(path) for path in (trained / "checkpoint", trained / "splicing", folder / "student")
    )
    for name, values in whole.items():
        expected = student[name.removeprefix("tracks.")] if name.startswith("tracks.") else stack[name]
        np.testing.assert_array_equal(values, expected)
    assert not any("SPLICE" in name for name in whole if name.startswith("tracks."))


def test_a_whole_network_is_a_student_too(folder: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "splicing", tmp_path / "splicing")
    recipe, student = folder / "splicing.toml", str(trained / "checkpoint")
    train_command(recipe=recipe, data=folder, output=tmp_path, fraction=0.6, student=student)
    found, expected = (arrays(path / "checkpoint") for path in (tmp_path, trained))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    joined, whole = (read_config(path / "checkpoint") for path in (tmp_path, trained))
    assert joined.architecture == whole.architecture
    assert joined.training["student"] == whole.training["student"] == {"recipe": "abc"}


def test_a_finished_run_is_left_as_it_is(folder: Path, trained: Path, tmp_path: Path) -> None:
    before = (trained / "checkpoint" / "SHA256SUMS").read_bytes()
    recipe, student = folder / "splicing.toml", str(folder / "student")
    train_command(recipe=recipe, data=folder, output=trained, fraction=0.6, student=student)
    assert (trained / "checkpoint" / "SHA256SUMS").read_bytes() == before
    other = write_student(tmp_path / "other", seed=1)
    with pytest.raises(OutputError, match="checkpoint\n  was trained by another recipe"):
        train_command(recipe=recipe, data=folder, output=trained, fraction=0.6, student=str(other))
    with pytest.raises(OutputError, match="splicing\n  was trained by another recipe"):
        train_command(recipe=recipe, data=folder, output=trained, fraction=0.3, student=student)


def test_the_log_has_every_loss(trained: Path) -> None:
    assert (trained / "splicing" / "log.jsonl").read_text() == ""  # fewer steps than a line averages
    json.loads((trained / "splicing" / "config.json").read_text())


def test_options_that_conflict_are_refused(folder: Path, tmp_path: Path) -> None:
    student = str(folder / "student")
    with pytest.raises(UsageError, match="--student: trains"):
        train_command(recipe=folder / "recipe.toml", data=folder, output=tmp_path / "o", student=student)
    with pytest.raises(UsageError, match="--student: trains"):
        train_command(
            recipe=folder / "splicing.toml", data=folder, output=tmp_path / "o", student=student, teacher=1
        )
    assert not (tmp_path / "o").exists()


def test_student_of_another_family_is_refused(folder: Path, trained: Path, tmp_path: Path) -> None:
    arguments = {"recipe": folder / "splicing.toml", "data": folder, "output": tmp_path / "out"}
    for student in (folder / "teacher", trained / "splicing"):
        with pytest.raises(TrainingError, match="is no network of one organism of the family alphagenome"):
            train_command(**arguments, student=str(student))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('teachers = ["teacher"]', "teachers = []", "splicing.teachers: found an empty list, expected at"),
        ("channels = 4", "tissues = 2", "splicing.network.tissues: found 2, expected 1"),
        ("changed = 0.6", "changed = 1.6", "splicing.stages[1].changed: found 1.6, expected a number not"),
        ("window_bp = 256", "window_bp = 8192", "splicing.stages[0].window_bp: found 8192, expected at most"),
        (
            "count = 4",
            "count = 4, sites = 0.9, exons = 0.3",
            "splicing.changes.sites + branch_points + exons",
        ),
        (
            "count = 4",
            "mutation_rates = [0.1, 0.01]",
            "splicing.changes.mutation_rates[0]: found 0.1, expected at most 0.01, the other",
        ),
        ("count = 4", "mutation_rates = [0, 0.1]", "splicing.changes.mutation_rates[0]: found 0, expected"),
        ("count = 4", "spacing_bp = 10", "splicing.changes.spacing_bp: found 10, expected a whole number"),
        ("windows = 1,", "windows = 1, mine_hard_negatives = true,", "splicing.junctions.stages: mine_hard"),
        ("windows = 1,", "windows = 1, measured = true,", "splicing.junctions.stages: only a student"),
        (
            "labeling = {",
            "sampling = { sites = 0.8, genes = 0.3 }\nlabeling = {",
            "sampling.genes: found 0.3",
        ),
    ],
)
def test_an_invalid_table_is_refused(folder: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    head, tail = (folder / "splicing.toml").read_text().split("[splicing]", 1)
    assert old in tail
    path = tmp_path / "recipe.toml"
    path.write_text(f"{head}[splicing]{tail.replace(old, new, 1)}")
    with pytest.raises(TrainingError, match=re.escape(message)):
        read_recipe(path)


def test_a_run_starts_from_a_checkpoint(folder: Path, trained: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    text = (folder / "splicing.toml").read_text()
    begun = text.replace("[splicing]\n", f'[splicing]\nstart = "{trained / "checkpoint"}"\n')
    recipe.write_text(begun.replace("peak_rate = 0.01", "peak_rate = 1e-12"))
    arguments = {"recipe": recipe, "data": folder, "fraction": 0.6, "student": str(folder / "student")}
    train_command(**arguments, output=tmp_path / "more")
    before, after = arrays(trained / "splicing"), arrays(tmp_path / "more" / "splicing")
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, atol=1e-6, err_msg=name)
    training = read_config(tmp_path / "more" / "splicing").training
    assert training["splicing_start"] == checkpoint_digest(trained / "checkpoint")
    assert "start" not in training["splicing"]  # a path of the machine
    recipe.write_text(begun.replace("widths = [3, 3]", "widths = [3, 5]"))
    with pytest.raises(TrainingError, match=r"checkpoint\n  has no splicing of the architecture"):
        train_command(**arguments, output=tmp_path / "wider")


def test_a_recipe_of_splicing_alone_needs_a_student_and_no_other_table(
    folder: Path, trained: Path, tmp_path: Path
) -> None:
    text = (folder / "splicing.toml").read_text()
    first = min(text.index(table) for table in ("[network]", "[teachers]", "[[student]]"))
    alone = text[:first] + text[text.index("[splicing]") :]
    recipe = tmp_path / "alone.toml"
    recipe.write_text("".join(line for line in alone.splitlines(True) if not line.startswith("folds")))
    with pytest.raises(UsageError, match=r"trains splicing alone, which a finished student joins"):
        train_command(recipe=recipe, data=folder, output=tmp_path / "out")
    found, whole = read_recipe(recipe), read_recipe(folder / "splicing.toml")
    assert isinstance(found, SplicingRecipe) and found.splicing == whole.splicing
    recipe.write_text(alone)  # the digest of a finished run depends on all of [data]
    student = str(folder / "student")
    before = (trained / "checkpoint" / "SHA256SUMS").read_bytes()
    train_command(recipe=recipe, data=folder, output=trained, fraction=0.6, student=student)
    assert (trained / "checkpoint" / "SHA256SUMS").read_bytes() == before


def test_the_table_does_not_affect_the_other_networks(folder: Path) -> None:
    plain, with_table = (read_recipe(folder / name) for name in ("recipe.toml", "splicing.toml"))
    assert plain.splicing is None and with_table.splicing is not None
    assert repr(plain) == repr(with_table)
    short = with_table.shortened(0.5).splicing
    assert short is not None and [stage.steps for stage in short.stages] == [1, 2]
    assert (short.labeling.genes, short.junctions.steps) == (0.25, 1)
