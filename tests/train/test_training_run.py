"""Recipes, and training runs of a tiny network on a toy genome: their output, resuming, and errors."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.cli.commands import ROOT, vepscore
from vepscore.cli.train import train as train_command
from vepscore.errors import OutputError, TrainingError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.model.checkpoint import load_checkpoint, read_config, verify_checkpoint
from vepscore.model.registry import embedded_checkpoint
from vepscore.outputs import Output
from vepscore.train.recipe import Defaults, Recipe, SplicingRecipe, read_recipe
from vepscore.train.training_data import read_data
from vepscore.train.training_run import train_all


class Killed(BaseException):
    """Raised to end a run at a step."""


@pytest.fixture(scope="module")
def recipe(folder: Path) -> Recipe:
    return read_recipe(folder / "recipe.toml")


@pytest.fixture(scope="module")
def trained(folder: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("trained")
    assert train_all(recipe, read_data(recipe, folder), output) == output / "student"
    return output


def arrays(folder: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load_file(folder / "model.safetensors")


@pytest.mark.slow
@pytest.mark.ci
def test_teachers_and_students_are_checkpoints(trained: Path) -> None:
    networks = {"teacher-1": ["chr2"], "teacher-2": ["chr3"], "student-1": [], "student": []}
    assert {path.name for path in trained.iterdir()} == set(networks)
    for name, held_out in networks.items():
        verify_checkpoint(trained / name)
        training = read_config(trained / name).training
        assert training["held_out"] == held_out and training["test_chromosomes"] == ["chr16"]
        assert training["teachers"] == {"student-1": 2, "student": 1}.get(name, 0)
        tracks = load_checkpoint(trained / name).tracks
        assert set(tracks) == {
            Output.CAGE,
            Output.DNASE,
            Output.SPLICE_SITES,
            Output.SPLICE_SITE_USAGE,
            Output.SPLICE_JUNCTIONS,
        }
        config = read_config(trained / name)
        assert (config.window_bp, config.indel_anchor, config.scorers) == (
            16_384,
            IndelAnchor.BOTH,
            ("SPLICE_SITES",),
        )
    assert len({read_config(trained / name).training["parameters"] for name in networks}) == 1
    for one, other in (("teacher-1", "teacher-2"), ("student-1", "student")):
        first, second = arrays(trained / one), arrays(trained / other)
        assert any((first[name] != second[name]).any() for name in first)


@pytest.mark.slow
def test_an_interrupted_run_resumes_and_gives_the_same_networks(
    folder: Path, recipe: Recipe, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vepscore.train.step_loop._SAVED_STEPS", 2)
    monkeypatch.setattr("vepscore.train.step_loop._LOGGED_STEPS", 2)
    data, steps = read_data(recipe, folder), []

    def observe(network: str, step: int, total: int, losses: dict[str, float]) -> None:
        steps.append((network, step))
        killed = ("teacher-1", 5), ("student-1", 3), ("student-run-2", 1)
        if (network, step) in killed and steps.count((network, step)) == 1:
            raise Killed

    with pytest.raises(Killed):
        train_all(recipe, data, tmp_path, observe=observe)
    with pytest.raises(OutputError, match="teacher-1\n  was trained by another recipe"):
        train_all(dataclasses.replace(recipe, seed=8), data, tmp_path)
    with pytest.raises(Killed):
        train_all(recipe, data, tmp_path, observe=observe)
    with pytest.raises(Killed):
        train_all(recipe, data, tmp_path, observe=observe)
    train_all(recipe, data, tmp_path, observe=observe)
    assert [step for name, step in steps if name == "teacher-1"] == [1, 2, 3, 4, 5, 5, 6]
    assert [step for name, step in steps if name == "student-1"] == [1, 2, 3, 3]
    assert [step for name, step in steps if name == "student"] == [1, 2]
    assert [step for name, step in steps if name == "student-run-2"] == [1, 1, 2]
    log = [json.loads(line) for line in (tmp_path / "teacher-1" / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [2, 4, 6] and all(entry["total"] > 0 for entry in log)
    for name in ("teacher-1", "teacher-2", "student-1", "student"):
        found, expected = arrays(tmp_path / name), arrays(trained / name)
        assert all(found[key].tobytes() == expected[key].tobytes() for key in expected)
        assert not list((tmp_path / name).glob("progress*"))


@pytest.mark.slow
def test_networks_of_another_recipe_are_refused(folder: Path, recipe: Recipe, trained: Path) -> None:
    with pytest.raises(OutputError, match="teacher-1\n  was trained by another recipe"):
        train_all(recipe.shortened(0.5), read_data(recipe, folder), trained)
    first, last = recipe.student
    for name, student in (
        ("student-1", (dataclasses.replace(first, weight_decay=0.5), last)),
        ("student", (first, dataclasses.replace(last, weight_decay=0.5))),
    ):
        with pytest.raises(OutputError, match=f"{name}\n  was trained by another recipe"):
            train_all(dataclasses.replace(recipe, student=student), read_data(recipe, folder), trained)


@pytest.mark.slow
def test_a_student_is_trained_by_the_students_that_it_names(
    folder: Path, recipe: Recipe, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "student")
    first, last = recipe.student
    of_teachers = dataclasses.replace(recipe, student=(first, dataclasses.replace(last, teachers=())))
    student = train_all(of_teachers, read_data(recipe, folder), tmp_path)
    assert read_config(student).training["teachers"] == 2
    found, expected = arrays(student), arrays(trained / "student")
    assert any((found[key] != expected[key]).any() for key in expected)


@pytest.mark.slow
def test_a_teacher_trained_alone_equals_that_of_a_whole_run(
    folder: Path, recipe: Recipe, trained: Path, tmp_path: Path
) -> None:
    data = read_data(recipe, folder)
    assert train_all(recipe, data, tmp_path, only_teacher=2) == tmp_path / "teacher-2"
    assert [path.name for path in tmp_path.iterdir()] == ["teacher-2"]
    found, expected = arrays(tmp_path / "teacher-2"), arrays(trained / "teacher-2")
    assert all(found[key].tobytes() == expected[key].tobytes() for key in expected)


@pytest.mark.slow
def test_teachers_are_initialized_from_those_of_another_run(
    folder: Path, recipe: Recipe, trained: Path, tmp_path: Path
) -> None:
    data = read_data(recipe, folder)
    train_all(recipe, data, tmp_path, start=trained, only_teacher=1)
    began, ended, other = (
        arrays(path) for path in (trained / "teacher-1", tmp_path / "teacher-1", trained / "teacher-2")
    )
    weights = "heads.SPLICE_SITES.linear.weight"
    moved, apart = (np.abs(each[weights] - began[weights]).mean() for each in (ended, other))
    assert 0 < moved < apart / 2
    with pytest.raises(OutputError, match="teacher-1\n  was trained by another recipe"):
        train_all(recipe, data, tmp_path, only_teacher=1)
    wider = dataclasses.replace(recipe, network=dataclasses.replace(recipe.network, channels=16))
    with pytest.raises(TrainingError, match="has another architecture"):
        train_all(wider, data, tmp_path / "wider", start=trained)


def test_a_teacher_that_the_recipe_does_not_have_is_refused(
    folder: Path, recipe: Recipe, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"no teacher 3: its \[data\] has 2 folds"):
        train_all(recipe, read_data(recipe, folder), tmp_path, only_teacher=3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seed = 7", 'seed = "one"', 'seed: found "one", expected a whole number from 0'),
        ("seed = 7", "seed = true", "seed: found true, expected a whole number from 0"),
        ("seed = 7", "seed = 1979-05-27", 'seed: found "1979-05-27", expected a whole number'),
        ('name = "toy"', 'name = ""', 'name: found "", expected text'),
        (
            "peak_rate = 0.01",
            'peak_rate = "fast"',
            'teachers.peak_rate: found "fast", expected a number above 0',
        ),
        ("peak_rate = 0.01", "peak_rate = 0", "teachers.peak_rate: found 0, expected a number above 0"),
        ("peak_rate = 0.01", "peak_rate = nan", "teachers.peak_rate: found NaN, expected a number above 0"),
        (
            "peak_rate = 0.01",
            "peak_rate = inf",
            "teachers.peak_rate: found Infinity, expected a number above 0",
        ),
        ("peak_rate = 0.01", "peak_rate = true", "teachers.peak_rate: found true, expected a number above 0"),
        ("peak_rate = 0.005", "", "student[1].peak_rate: missing"),
        (
            "peak_rate = 0.005",
            "peak_rate = 0.005\nweight_decay = -5",
            "student[1].weight_decay: found -5, expected a number not below 0",
        ),
        (
            "peak_rate = 0.005",
            "peak_rate = 0.005\nwarmup = 1.0",
            "student[1].warmup: found 1.0, expected a number not below 0 and below 1",
        ),
        ("channels = 8", 'channels = "32"', 'network.channels: found "32", expected a whole number from 1'),
        ("key_channels = 8", "key_channels = 7", "network.key_channels: found 7, expected a multiple of 2"),
        ("channels = 8", "organisms = 2", "network.organisms: comes from the data"),
        ("steps = 3", "steps = 0", "teachers.stages[0].steps: found 0, expected a whole number from 1"),
        ("steps = 3", "steps = 3.0", "teachers.stages[0].steps: found 3.0, expected a whole number from 1"),
        (
            "mine_hard_negatives = true",
            "mine_hard_negatives = 1",
            "stages[1].mine_hard_negatives: found 1, expected true or false",
        ),
        (
            "sites = 0.2",
            "sites = 1.2",
            "student[0].stages[0].sampling.sites: found 1.2, expected a number not",
        ),
        (
            "negative_sites = 2",
            "negative_sites = -2",
            "student[1].sampling.negative_sites: found -2, expected a whole number from 0",
        ),
        (
            "tss = 0.5",
            'tss = "no"',
            'student[1].weights.tss: found "no", expected a number not below 0',
        ),
        (
            "CAGE = 1.0",
            "CAGE = -1.0",
            "teachers.weights.tracks.CAGE: found -1.0, expected a number not below 0",
        ),
        ("CAGE = 1.0", "CAGES = 1.0", "teachers.weights.tracks: unknown name 'CAGES', expected one of ATAC"),
        ("CAGE = 1.0", "CONTACT_MAPS = 1.0", "teachers.weights.tracks: unknown name 'CONTACT_MAPS'"),
        ('["genome.fa"]', '"genome.fa"', 'data.sequence: found "genome.fa", expected a list'),
        ('["genome.fa"]', "[]", "data.sequence: found an empty list, expected at least one"),
        ('[["chr2"], ["chr3"]]', "[]", "data.folds: found an empty list, expected at least one"),
        ('[["chr2"], ["chr3"]]', '["chr2", "chr3"]', 'data.folds[0]: found "chr2", expected a list'),
        ("[teachers]", "[teacher]", "teachers: missing"),
        ('name = "toy"', 'name = "toy"\nteacher = 1', "teacher: unknown field"),
        ("channels = 8", "channles = 8", "network.channles: unknown field"),
        (
            "window_bp = 2048",
            "window_bp = 2000",
            "teachers.stages[0].window_bp: found 2000, expected a multiple of 2048 from 2048 to 1048576",
        ),
        ("steps = 3, ", "", "teachers.stages[0].steps: missing"),
        (
            ", mine_hard_negatives = true",
            "",
            "teachers.stages: none has mine_hard_negatives, which sampling",
        ),
        ("from_teacher = 2", "from_teacher = 3", "student[0].from_teacher: found 3, expected at most 2"),
        (
            "peak_rate = 0.005",
            "from_teacher = 1\npeak_rate = 0.005",
            "student[1].from_teacher: only the first",
        ),
        ("[teachers]", "[teachers]\nfrom_teacher = 1", "teachers.from_teacher: only a student may"),
        (
            "steps = 3",
            "teacher_bp = 2048, steps = 3",
            "teachers.stages: only a student may have teacher_bp and",
        ),
        (
            "steps = 3",
            "measured = true, steps = 3",
            "teachers.stages: only a student may have teacher_bp and",
        ),
        (
            "stages = [{ steps = 3",
            "stages = [{ teacher_bp = 4096, steps = 3",
            "student[0].stages[0].teacher_bp: found 4096, expected a width that divides window_bp, 2048",
        ),
        ("regions = 0.6", "region = 0.6", "student[0].stages[0].sampling.region: unknown field"),
        (
            "regions = 0.6",
            "hard_negatives = 0.6",
            "student[0].stages: none has mine_hard_negatives, which sampling",
        ),
        ("repeats = 2", "repeats = 0", "student[1].repeats: found 0, expected a whole number from 1"),
        ("{ student-1 = 0.25 }", "0.25", "student[1].weight_average: found 0.25, expected a table"),
        (
            "student-1 = 0.25",
            "student-1 = 1.0",
            "student[1].weight_average.student-1: found 1.0, expected a number above 0",
        ),
        (
            "student-1 = 0.25",
            "student-1 = 0.5, student-2 = 0.5",
            "student[1].weight_average: found 1.0, expected weights whose sum is below 1",
        ),
        (
            "student-1 = 0.25",
            "student-2 = 0.25",
            'student[1].weight_average: found "student-2", expected an earlier one',
        ),
        (
            "[teachers]",
            "[teachers]\nweight_average = { student-1 = 0.5 }",
            "teachers.weight_average: only a student",
        ),
        (
            "hard_negatives = 0.5",
            "hard_negatives = 0.5, splice_site_mutation_rate = 0.1",
            "teachers.sampling.splice_site_mutation_rate: only a student",
        ),
        ('["student-1"]', '"student-1"', 'student[1].teachers: found "student-1", expected a list'),
        ('["student-1"]', "{ student-1 = 1.0 }", "student[1].teachers: found a table, expected a list"),
        ('["student-1"]', '["student-2"]', 'student[1].teachers: found "student-2", expected an earlier one'),
        ("[teachers]", '[teachers]\nteachers = ["student-1"]', "teachers.teachers: only a student may"),
        ("from_teacher = 2", "repeats = 2", "student[0].repeats: found 2, expected 1, because this student"),
        (
            "window_bp = 16384",
            "window_bp = 2048",
            "defaults.window_bp: found 2048, expected a multiple of 2048 from",
        ),
        (
            'scorers = ["SPLICE_SITES"]',
            "scorers = []",
            "defaults.scorers: found an empty list, expected at least one",
        ),
        ("seed = 7", "seed 7", "is not TOML"),
        ('name = "toy"', "", "name: missing"),
    ],
)
def test_an_invalid_recipe_is_refused(folder: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text((folder / "recipe.toml").read_text().replace(old, new, 1))
    with pytest.raises(TrainingError, match=re.escape(message)):
        read_recipe(path)


def test_defaults_of_the_checkpoint_do_not_affect_training(recipe: Recipe) -> None:
    """The hash of a training is computed from the recipe's repr."""
    other = dataclasses.replace(recipe, defaults=Defaults())
    assert other != recipe and repr(other) == repr(recipe)


def test_recipe_of_the_embedded_checkpoint_has_the_defaults_of_the_checkpoint() -> None:
    defaults = read_recipe(ROOT / "examples" / "06_training" / "recipe.toml").defaults
    config = read_config(embedded_checkpoint())
    assert dataclasses.astuple(defaults) == (config.window_bp, config.indel_anchor, config.scorers)


def test_a_recipe_may_begin_with_a_byte_order_mark(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (folder / "recipe.toml").read_bytes().replace(b"\n", b"\r\n"))
    assert read_recipe(path) == read_recipe(folder / "recipe.toml")


def test_all_invalid_fields_of_a_recipe_are_reported_together(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    text = (folder / "recipe.toml").read_text()
    path.write_text(text.replace("seed = 7", 'seed = "one"').replace("repeats = 2", "repeats = 0"))
    with pytest.raises(TrainingError) as caught:
        read_recipe(path)
    assert [line.partition(":")[0] for line in caught.value.message.splitlines()] == [
        str(path),
        "seed",
        "student[1].repeats",
    ]


def test_a_recipe_is_refused_before_any_of_its_files_is_read(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text((folder / "recipe.toml").read_text().replace("seed = 7", 'seed = "one"'))
    with pytest.raises(TrainingError, match="seed: found"):
        train_command(recipe=path, data=tmp_path / "absent", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recipe_without_a_student_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text((folder / "recipe.toml").read_text().split("[[student]]")[0])
    with pytest.raises(TrainingError, match="student: missing"):
        read_recipe(path)


def test_missing_files_are_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "genes.gtf").touch()
    with pytest.raises(TrainingError, match=r"lacks genome\.fa, signal\.npz"):
        read_data(recipe, tmp_path)


@pytest.mark.parametrize("name", ["first", "recipe"])
def test_the_examples_are_valid_recipes(name: str) -> None:
    recipe = read_recipe(ROOT / "examples" / "06_training" / f"{name}.toml")
    held_out = [chrom for fold in recipe.data.folds for chrom in fold]
    assert len(held_out) == len(set(held_out)) and not set(held_out) & set(recipe.data.test)
    short = recipe.shortened(0.01)
    assert short.teachers.steps < recipe.teachers.steps / 50 and all(
        each.steps >= 1 for each in short.student
    )


def test_the_example_of_splicing_alone_is_a_valid_recipe() -> None:
    alone, whole = (
        read_recipe(ROOT / "examples" / "06_training" / f"{name}.toml") for name in ("splicing", "recipe")
    )
    assert isinstance(alone, SplicingRecipe)
    assert (alone.defaults, alone.data.test) == (whole.defaults, whole.data.test)
    assert alone.shortened(0.01).splicing.steps < alone.splicing.steps / 50


def test_the_command_reports_a_missing_recipe(folder: Path, tmp_path: Path) -> None:
    done = vepscore("train", str(tmp_path / "none.toml"), str(folder), "-o", str(tmp_path / "out"))
    assert done.returncode == 1 and done.stderr.startswith(
        f"error: {tmp_path / 'none.toml'}\n  cannot be read"
    )
    assert not (tmp_path / "out").exists()


def test_keys_of_the_last_release_are_read_with_a_warning(
    folder: Path, recipe: Recipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = (folder / "recipe.toml").read_text()
    for new, old in (
        ("license =", "licence ="),
        ("mine_hard_negatives", "find_mistakes"),
        ("hard_negatives", "mistakes"),
        ("log_coverage", "logarithms"),
        ("tss", "starts"),
        ("splice_site_mutation_rate", "broken"),
        ("negative_sites", "decoys"),
        ("repeats", "runs"),
        ("weight_average", "kept"),
        ("teachers = [", "taught_by = ["),
    ):
        assert new in text
        text = text.replace(new, old)
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    assert read_recipe(path) == recipe
    (record,) = caplog.records
    assert "student.taught_by (now teachers), weights.logarithms (now log_coverage)" in record.getMessage()


def test_an_old_key_beside_its_new_name_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text((folder / "recipe.toml").read_text().replace("repeats = 2", "repeats = 2\nruns = 2"))
    with pytest.raises(TrainingError, match=r"student\[1\]\.runs: unknown field"):
        read_recipe(path)


def test_contact_maps_without_a_reader_are_refused(folder: Path, recipe: Recipe) -> None:
    sources = dataclasses.replace(recipe.data, contacts={"loops": "genes.gtf"})
    with pytest.raises(TrainingError, match=r"data\.contacts: vepscore has no reader of contact maps"):
        read_data(dataclasses.replace(recipe, data=sources), folder)


def test_the_old_name_of_fraction_is_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        train_command(recipe=tmp_path / "none.toml", data=tmp_path, output=tmp_path / "out", share=0.1)
    assert "--share is now called --fraction" in caplog.text
