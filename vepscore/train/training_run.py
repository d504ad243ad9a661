"""Run a recipe: train teachers on labels, each with a fold held out, then students on the teachers' predictions.

A finished network is not trained again, so rerunning the same command resumes an interrupted run.
"""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from vepscore.engine.settings import fixed_settings
from vepscore.errors import TrainingError
from vepscore.model.checkpoint import load_checkpoint, read_config, save_checkpoint
from vepscore.model.loading import parameter_count
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.loop import Training, averaged, train
from vepscore.train.objective import Objective
from vepscore.train.recipe import Recipe, SplicingRecipe
from vepscore.train.schedule import Schedule
from vepscore.train.splicing.splicing_run import JOINED_FOLDER, SPLICING_FOLDER
from vepscore.train.training_data import TrainingData
from vepscore.train.training_folder import (
    LOG_FILE,
    Observe,
    arrays_hash,
    describe_checkpoint,
    open_training,
    training_seed,
)

STUDENT_FOLDER = "student"


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Job:
    """One network to train."""

    folder: Path
    schedule: Schedule
    fold: Sequence[str] = ()  # chromosomes held out, in addition to the test chromosomes
    teachers: Sequence[Path] = ()  # checkpoints that predict the targets; empty: targets are labels
    start: Path | None = None  # checkpoint to initialize from; None: random parameters


def list_outputs(
    recipe: Recipe | SplicingRecipe, output: Path, *, splicing_alone: bool = False
) -> list[Path]:
    """Return the existing files in the directories of a recipe's networks, or of those of `[splicing]` alone."""
    names = [SPLICING_FOLDER, JOINED_FOLDER] if recipe.splicing else []
    if isinstance(recipe, Recipe) and not splicing_alone:
        names += [f"teacher-{number}" for number, _ in enumerate(recipe.data.folds, 1)]
        names += [
            STUDENT_FOLDER,
            *(f"{STUDENT_FOLDER}-{number}" for number, _ in enumerate(recipe.student, 1)),
        ]
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
    started_from = arrays_hash(job.start) if job.start else None
    digest = _hash_training(recipe, job, started_from)
    progress = open_training(folder, digest)
    if progress is None:
        return folder
    started = time.monotonic()
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
            dataclasses.replace(training, seed=training_seed(recipe.seed, name, started_from)),
            folder / (LOG_FILE if number == 1 else f"log-{number}.jsonl"),  # of each repeat
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
    config = describe_checkpoint(recipe, recipe.network, training_facts)
    save_checkpoint(folder, network, config, {"human": data.tables})
    shutil.rmtree(progress)
    return folder


def _load_network(folder: Path) -> AlphaGenome:
    network = load_checkpoint(folder).network
    assert isinstance(network, AlphaGenome)
    return network


def _hash_training(recipe: Recipe, job: _Job, started_from: str | None) -> str:
    """Return a hash of everything that a network's training depends on except the data."""
    schedule = job.schedule
    # Other students do not matter, nor does splicing.
    recipe = dataclasses.replace(recipe, student=(), splicing=None)
    if not job.teachers:  # nor, for a teacher, do other teachers' folds
        recipe = dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, folds=(tuple(job.fold),)))
    names = (*schedule.weight_average, *schedule.teachers)
    earlier = [arrays_hash(job.folder.with_name(name)) for name in names]
    return hashlib.sha256(repr((recipe, schedule, job.fold, started_from, earlier)).encode()).hexdigest()
