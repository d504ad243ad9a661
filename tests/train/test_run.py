"""Training a tiny network on a toy genome: what it leaves behind, and that a killed run goes on."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from tests.cli.commands import ROOT, vepscore
from vepscore.errors import OutputError, TrainingError
from vepscore.model.checkpoint import load_checkpoint, read_config, verify_checkpoint
from vepscore.outputs import Output
from vepscore.train.recipe import Recipe, read_recipe
from vepscore.train.run import read_data, train_all


class Killed(BaseException):
    """What ends a run at a step."""


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
def test_teachers_and_student_are_checkpoints(trained: Path) -> None:
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
    assert len({read_config(trained / name).training["parameters"] for name in networks}) == 1
    for one, other in (("teacher-1", "teacher-2"), ("student-1", "student")):
        first, second = arrays(trained / one), arrays(trained / other)
        assert any((first[name] != second[name]).any() for name in first)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_gives_the_same_network(
    folder: Path, recipe: Recipe, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vepscore.train.loop._SAVED_STEPS", 2)
    monkeypatch.setattr("vepscore.train.loop._LOGGED_STEPS", 2)
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
def test_networks_of_another_recipe_are_not_taken(folder: Path, recipe: Recipe, trained: Path) -> None:
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
def test_a_student_learns_of_the_students_that_are_named(
    folder: Path, recipe: Recipe, trained: Path, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "student")
    first, last = recipe.student
    of_teachers = dataclasses.replace(recipe, student=(first, dataclasses.replace(last, taught_by=())))
    student = train_all(of_teachers, read_data(recipe, folder), tmp_path)
    assert read_config(student).training["teachers"] == 2
    found, expected = arrays(student), arrays(trained / "student")
    assert any((found[key] != expected[key]).any() for key in expected)


@pytest.mark.slow
def test_a_teacher_alone_is_the_one_of_the_whole_run(
    folder: Path, recipe: Recipe, trained: Path, tmp_path: Path
) -> None:
    data = read_data(recipe, folder)
    assert train_all(recipe, data, tmp_path, only_teacher=2) == tmp_path / "teacher-2"
    assert [path.name for path in tmp_path.iterdir()] == ["teacher-2"]
    found, expected = arrays(tmp_path / "teacher-2"), arrays(trained / "teacher-2")
    assert all(found[key].tobytes() == expected[key].tobytes() for key in expected)


@pytest.mark.slow
def test_teachers_go_on_from_those_of_another_run(
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
    with pytest.raises(TrainingError, match="of another architecture"):
        train_all(wider, data, tmp_path / "wider", start=trained)


def test_a_teacher_that_the_recipe_lacks_is_refused(folder: Path, recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no teacher 3: its \[data\] has 2 folds"):
        train_all(recipe, read_data(recipe, folder), tmp_path, only_teacher=3)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[teachers]", "[teacher]", r"no section \[teachers\]"),
        ('name = "toy"', 'name = "toy"\nteacher = 1', "the recipe: .*teacher"),
        ("channels = 8", "channles = 8", "network: .*channles"),
        ("window_bp = 2048", "window_bp = 2000", "teachers: window_bp 2000 is not a multiple of 2048"),
        ("steps = 3, ", "", "teachers: stages: .*steps"),
        (
            ", find_mistakes = true",
            "",
            "teachers: sampling has a share of mistakes, and no stage has find_mis",
        ),
        ("CAGE = 1.0", "CAGES = 1.0", "teachers: weights: 'CAGES' is not a valid Output"),
        ("from_teacher = 2", "from_teacher = 3", "student: from_teacher is no number of a teacher"),
        (
            "peak_rate = 0.005",
            "from_teacher = 1\npeak_rate = 0.005",
            "student: from_teacher is for the first",
        ),
        ("[teachers]", "[teachers]\nfrom_teacher = 1", "teachers: from_teacher is for the student"),
        ("steps = 3", "teacher_bp = 2048, steps = 3", "teachers: teacher_bp is for the student"),
        ("steps = 3", "measured = true, steps = 3", "teachers: measured is for the student"),
        (
            "stages = [{ steps = 3",
            "stages = [{ teacher_bp = 4096, steps = 3",
            "student: teacher_bp 4096 is not a multiple of 2048 that div",
        ),
        ("regions = 0.6", "region = 0.6", "student: stages: sampling: .*region"),
        (
            "regions = 0.6",
            "mistakes = 0.6",
            "student: sampling has a share of mistakes, and no stage has find_mis",
        ),
        ("runs = 2", "runs = 0", "student: runs is at least 1"),
        ("{ student-1 = 0.25 }", "0.25", "student: kept is a table of shares by name"),
        ("student-1 = 0.25", "student-1 = 1.0", "student: .*kept are above 0 and sum to less than 1"),
        (
            "student-1 = 0.25",
            "student-2 = 0.25",
            "student: kept names student-2; before it there is student-1",
        ),
        (
            "[teachers]",
            "[teachers]\nkept = { student-1 = 0.5 }",
            "teachers: runs, kept and taught_by are for the student",
        ),
        ("mistakes = 0.5", "mistakes = 0.5, broken = 0.1", "teachers: broken is for the student"),
        ('["student-1"]', '"student-1"', "student: taught_by is a list of names"),
        ('["student-1"]', "{ student-1 = 1.0 }", "student: taught_by is a list of names"),
        (
            '["student-1"]',
            '["student-2"]',
            "student: taught_by names student-2; before it there is student-1",
        ),
        (
            "[teachers]",
            '[teachers]\ntaught_by = ["student-1"]',
            "teachers: runs, kept and taught_by are for the student",
        ),
        ("from_teacher = 2", "runs = 2", "student: runs are for one that starts from"),
        ("seed = 7", "seed 7", "is not TOML"),
        ('name = "toy"', "", "the recipe: .*name"),
    ],
)
def test_a_recipe_that_does_not_fit_is_refused(
    folder: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text((folder / "recipe.toml").read_text().replace(old, new, 1))
    with pytest.raises(TrainingError, match=said):
        read_recipe(path)


def test_a_recipe_without_a_student_is_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text((folder / "recipe.toml").read_text().split("[[student]]")[0])
    with pytest.raises(TrainingError, match=r"no section \[\[student\]\]"):
        read_recipe(path)


def test_files_that_are_missing_are_named(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "genes.gtf").touch()
    with pytest.raises(TrainingError, match=r"lacks genome\.fa, signal\.npz"):
        read_data(recipe, tmp_path)


@pytest.mark.parametrize("name", ["first", "recipe"])
def test_the_examples_are_recipes(name: str) -> None:
    recipe = read_recipe(ROOT / "examples" / "06_training" / f"{name}.toml")
    held_out = [chrom for fold in recipe.data.folds for chrom in fold]
    assert len(held_out) == len(set(held_out)) and not set(held_out) & set(recipe.data.test)
    tried = recipe.shortened(0.01)
    assert tried.teachers.steps < recipe.teachers.steps / 50 and all(
        each.steps >= 1 for each in tried.student
    )


def test_the_command_says_what_is_missing(folder: Path, tmp_path: Path) -> None:
    said = vepscore("train", str(tmp_path / "none.toml"), str(folder), "-o", str(tmp_path / "out"))
    assert said.returncode == 1 and said.stderr.startswith(
        f"error: {tmp_path / 'none.toml'}\n  cannot be read"
    )
    assert not (tmp_path / "out").exists()
