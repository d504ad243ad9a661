"""Run a recipe: train teachers on labels, each with a fold held out, then students on the teachers' predictions.

A finished network is not trained again, so rerunning the same command resumes an interrupted run.
"""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vepscore.engine.settings import fixed_settings
from vepscore.errors import OutputError, TrainingError
from vepscore.model.checkpoint import (
    ARRAYS_FILE,
    HASHES_FILE,
    CheckpointConfig,
    load_checkpoint,
    read_config,
    save_checkpoint,
)
from vepscore.model.loading import parameter_count
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.loop import Training, averaged, train
from vepscore.train.objective import Objective
from vepscore.train.recipe import Recipe, Schedule
from vepscore.train.training_data import TrainingData

STUDENT_FOLDER = "student"
LOG_FILE = "log.jsonl"  # log of the first repeat; the second has `log-2.jsonl`
_PROGRESS = "progress-"  # and the hash of the training: the directory with the state to resume from

Observe = Callable[[str, int, int, dict[str, float]], None]  # network, step, number of steps, losses


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Job:
    """One network to train."""

    folder: Path
    schedule: Schedule
    fold: Sequence[str] = ()  # chromosomes held out, in addition to the test chromosomes
    teachers: Sequence[Path] = ()  # checkpoints that predict the targets; empty: targets are labels
    start: Path | None = None  # checkpoint to initialize from; None: random parameters


def list_outputs(recipe: Recipe, output: Path) -> list[Path]:
    """Return the existing files in the directories of a recipe's networks."""
    names = [f"teacher-{number}" for number, _ in enumerate(recipe.data.folds, 1)]
    names += [STUDENT_FOLDER, *(f"{STUDENT_FOLDER}-{number}" for number, _ in enumerate(recipe.student, 1))]
    return [path for name in names for path in (output / name).glob("*") if path.is_file()]


@fixed_settings()
def train_all(
    recipe: Recipe,
    data: TrainingData,
    output: Path,
    *,
    start: Path | None = None,
    only_teacher: int | None = None,
    observe: Observe = lambda *_: None,
) -> Path:
    """Train the teachers and students of a recipe that are not finished yet.

    With several students, `student-1` is the first one and `student` the last.

    Args:
        recipe: what to train.
        data: the data that the recipe names.
        output: directory of the run; gets a checkpoint with a log for each network.
        start: directory of another run; each teacher is initialized from its teacher of the same number. None: from
            random parameters.
        only_teacher: train only this teacher, counted from 1. Several processes may train one each in one directory.
        observe: called after each step.

    Returns:
        The directory of the last student, or of that teacher.

    Raises:
        TrainingError: the recipe has no such teacher, or the teachers of `start` have another architecture.
        OutputError: the directory has networks of another recipe.
    """
    folds = recipe.data.folds
    if only_teacher is not None and only_teacher > len(folds):
        raise TrainingError(f"the recipe has no teacher {only_teacher}: its [data] has {len(folds)} folds")
    heads = {output: int(table.channel.max()) + 1 for output, table in data.tables.items()}
    heads[Output.SPLICE_SITES] += 1  # the class "no site"
    recipe = dataclasses.replace(recipe, network=dataclasses.replace(recipe.network, heads=heads))
    teachers = []
    for number, fold in enumerate(folds, 1):
        if only_teacher in (None, number):
            name = f"teacher-{number}"
            job = _Job(
                folder=output / name, schedule=recipe.teachers, fold=fold, start=start and start / name
            )
            teachers.append(_train_once(recipe, data, job, observe))
    if only_teacher is not None:
        return teachers[0]
    return _train_students(recipe, data, output, teachers, observe)


def _train_students(
    recipe: Recipe, data: TrainingData, output: Path, teachers: Sequence[Path], observe: Observe
) -> Path:
    first = recipe.student[0].from_teacher
    student = None if first is None else teachers[first - 1]
    for number, schedule in enumerate(recipe.student, 1):
        name = STUDENT_FOLDER if number == len(recipe.student) else f"{STUDENT_FOLDER}-{number}"
        job = _Job(folder=output / name, schedule=schedule, teachers=teachers, start=student)
        student = _train_once(recipe, data, job, observe)
    assert student is not None  # there is at least one
    return student


def _train_once(recipe: Recipe, data: TrainingData, job: _Job, observe: Observe) -> Path:
    """Return the directory of a network; train it if it is not finished."""
    if job.start and read_config(job.start).architecture != recipe.network:
        raise TrainingError(
            f"{job.start}\nhas another architecture than the recipe's [network] and data",
            hint="give a run of a recipe that differs only in its schedules",
        )
    folder, schedule = job.folder, job.schedule
    started_from = _arrays_hash(job.start) if job.start else None
    digest = _hash_training(recipe, job, started_from)
    _check_recipe(folder, digest)
    if (folder / HASHES_FILE).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    progress = folder / f"{_PROGRESS}{digest}"
    teachers = [folder.with_name(name) for name in schedule.teachers] or job.teachers
    training = Training(
        network=recipe.network,
        schedule=schedule,
        objective=Objective(weights=schedule.weights, coverage=data.tracks),
        windows=data.windows(job.fold),
        seed=0,  # of each repeat its own
        teachers=[_load_network(teacher) for teacher in teachers],
        start=_load_network(job.start) if job.start else None,
    )

    def train_repeat(number: int) -> AlphaGenome:
        name = folder.name if number == 1 else f"{folder.name}-run-{number}"
        return train(
            dataclasses.replace(training, seed=_seed(recipe.seed, name, started_from)),
            folder / (LOG_FILE if number == 1 else f"log-{number}.jsonl"),
            progress / str(number),
            lambda step, losses: observe(name, step, schedule.steps, losses),
        )

    networks = [train_repeat(number) for number in range(1, schedule.repeats + 1)]
    networks += [_load_network(folder.with_name(name)) for name in schedule.weight_average]
    weight = (1 - sum(schedule.weight_average.values())) / schedule.repeats
    network = averaged(networks, [weight] * schedule.repeats + list(schedule.weight_average.values()))
    training_facts = {
        "recipe": digest,
        "parameters": parameter_count(networks[0]),
        "schedule": dataclasses.asdict(schedule),
        "teachers": len(teachers),
        "held_out": list(job.fold),
        "test_chromosomes": list(recipe.data.test),
        "minutes_since_last_start": round((time.monotonic() - started) / 60, 1),
    }
    save_checkpoint(folder, network, _checkpoint_config(recipe, training_facts), {"human": data.tables})
    shutil.rmtree(progress)
    return folder


def _load_network(folder: Path) -> AlphaGenome:
    network = load_checkpoint(folder).network
    assert isinstance(network, AlphaGenome)
    return network


def _checkpoint_config(recipe: Recipe, training: dict[str, Any]) -> CheckpointConfig:
    return CheckpointConfig(
        name=recipe.name,
        architecture=recipe.network,
        organisms=("human",),
        rotary_dtype="float32",
        window_bp=recipe.defaults.window_bp,
        indel_anchor=recipe.defaults.indel_anchor,
        scorers=recipe.defaults.scorers,
        license=recipe.license,
        training=training,
    )


def _hash_training(recipe: Recipe, job: _Job, started_from: str | None) -> str:
    """Return a hash of everything that a network's training depends on except the data."""
    schedule = job.schedule
    recipe = dataclasses.replace(recipe, student=())  # other students do not matter
    if not job.teachers:  # nor, for a teacher, do other teachers' folds
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, folds=()))
    names = (*schedule.weight_average, *schedule.teachers)
    earlier = [_arrays_hash(job.folder.with_name(name)) for name in names]
    return hashlib.sha256(repr((recipe, schedule, job.fold, started_from, earlier)).encode()).hexdigest()


def _arrays_hash(folder: Path) -> str:
    """Return the hash of a network's arrays; its other files record how long training took."""
    return hashlib.sha256((folder / ARRAYS_FILE).read_bytes()).hexdigest()


def _seed(seed: int, name: str, started_from: str | None) -> int:
    """Return the seed of a network's training; it depends on the initial parameters, but not on the schedule."""
    return int(hashlib.sha256(f"{seed} {name} {started_from}".encode()).hexdigest()[:8], 16)


def _check_recipe(folder: Path, digest: str) -> None:
    """Raise OutputError if a directory has a network, or a partly trained one, of another recipe."""
    found = [path.name.removeprefix(_PROGRESS) for path in folder.glob(f"{_PROGRESS}*")]
    if (folder / HASHES_FILE).exists():
        found.append(str(read_config(folder).training.get("recipe")))
    if others := [name for name in found if name != digest]:
        raise OutputError(
            f"{folder}\nwas trained by another recipe (found {others[0]}, expected {digest})",
            hint="choose another directory, or remove this one",
        )
