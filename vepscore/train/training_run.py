"""A whole training run: teachers on labels, each with a fold left out, then a student on what they predict.

A network that is there already is not trained again, so a killed run goes on with the same command.
"""

import dataclasses
import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

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
from vepscore.model.heads import parameter_count
from vepscore.model.network import AlphaGenome
from vepscore.outputs import Output
from vepscore.train.loop import Training, averaged, train
from vepscore.train.objective import Objective
from vepscore.train.recipe import Recipe, Schedule
from vepscore.train.training_data import TrainingData

STUDENT_FOLDER = "student"
LOG_FILE = "log.jsonl"  # of the first run; `log-2.jsonl` of the second
_PROGRESS = "progress-"  # and the recipe's hash: the folder that a killed run goes on from

Observe = Callable[[str, int, int, dict[str, float]], None]  # network, step, steps, losses


def list_outputs(recipe: Recipe, output: Path) -> list[Path]:
    """Return the files that are there already in the folders of a recipe's networks."""
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
    """Trains the teachers and the student, or what of them is missing.

    Where the student has several schedules, `student-1` is what the first leaves, and `student` what the last does.

    Args:
        recipe: what to train.
        data: what with.
        output: folder for a checkpoint per network, each with its log.
        start: folder of another run, with whose teachers, number by number, these begin; none: from scratch.
        only_teacher: train this one alone, counted from 1; several processes may train one each in the same folder.
        observe: called after each step.

    Returns:
        The student's folder, or that teacher's.

    Raises:
        TrainingError: the recipe has no such teacher, or those of `start` are of another architecture.
        OutputError: the folder holds networks of another recipe.
    """
    folds = recipe.data.folds
    if only_teacher is not None and only_teacher > len(folds):
        raise TrainingError(f"the recipe has no teacher {only_teacher}: its [data] has {len(folds)} folds")
    heads = {output: int(table.channel.max()) + 1 for output, table in data.tables.items()}
    heads[Output.SPLICE_SITES] += 1  # none of them
    recipe = dataclasses.replace(recipe, network=dataclasses.replace(recipe.network, heads=heads))
    chosen = {
        f"teacher-{number}": fold for number, fold in enumerate(folds, 1) if only_teacher in (None, number)
    }
    teachers = [
        _train_once(
            recipe,
            data,
            output / name,
            recipe.teachers,
            fold=fold,
            start=start and start / name,
            observe=observe,
        )
        for name, fold in chosen.items()
    ]
    if only_teacher is not None:
        return teachers[0]
    first = recipe.student[0].from_teacher
    student = None if first is None else teachers[first - 1]
    for number, schedule in enumerate(recipe.student, 1):
        name = STUDENT_FOLDER if number == len(recipe.student) else f"{STUDENT_FOLDER}-{number}"
        student = _train_once(
            recipe, data, output / name, schedule, teachers=teachers, start=student, observe=observe
        )
    return student


def _train_once(
    recipe: Recipe,
    data: TrainingData,
    folder: Path,
    schedule: Schedule,
    *,
    fold: Sequence[str] = (),
    teachers: Sequence[Path] = (),
    start: Path | None,
    observe: Observe,
) -> Path:
    """One network's folder, trained if it is not there yet."""
    if start and read_config(start).architecture != recipe.network:
        raise TrainingError(
            f"{start}\nis a network of another architecture than that of the recipe's [network] and data",
            hint="name a run of a recipe that differs in its schedules alone",
        )
    asked = dataclasses.replace(recipe, student=()) if teachers else _of_one_teacher(recipe)
    begun = _arrays_hash(start) if start else None
    before = [_arrays_hash(folder.with_name(name)) for name in (*schedule.weight_average, *schedule.teachers)]
    digest = hashlib.sha256(repr((asked, schedule, fold, begun, before)).encode()).hexdigest()
    progress = folder / f"{_PROGRESS}{digest}"
    _check_recipe(folder, digest)
    if (folder / HASHES_FILE).exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    teachers = [folder.with_name(name) for name in schedule.teachers] or teachers
    training = Training(
        network=recipe.network,
        schedule=schedule,
        objective=Objective(
            weights=schedule.weights,
            tracks=data.tracks.tracks,
            columns=data.tracks.columns,
            strand_pair=data.tracks.strand_pair,
            log_spread=data.tracks.log_spread,
        ),
        windows=data.windows(fold),
        seed=0,
        teachers=[load_checkpoint(teacher).network for teacher in teachers],
        start=load_checkpoint(start).network if start else None,
    )

    def train_run(number: int) -> AlphaGenome:
        name = folder.name if number == 1 else f"{folder.name}-run-{number}"
        return train(
            dataclasses.replace(training, seed=_seed(recipe.seed, name, begun)),
            folder / (LOG_FILE if number == 1 else f"log-{number}.jsonl"),
            progress / str(number),
            lambda step, losses: observe(name, step, schedule.steps, losses),
        )

    networks = [train_run(number) for number in range(1, schedule.repeats + 1)]
    networks += [load_checkpoint(folder.with_name(name)).network for name in schedule.weight_average]
    of_run = (1 - sum(schedule.weight_average.values())) / schedule.repeats
    network = averaged(networks, [of_run] * schedule.repeats + list(schedule.weight_average.values()))
    config = CheckpointConfig(
        name=recipe.name,
        architecture=recipe.network,
        organisms=("human",),
        rotary_dtype="float32",
        window_bp=recipe.defaults.window_bp,
        indel_anchor=recipe.defaults.indel_anchor,
        scorers=recipe.defaults.scorers,
        license=recipe.license,
        training={
            "recipe": digest,
            "parameters": parameter_count(networks[0]),
            "schedule": dataclasses.asdict(schedule),
            "teachers": len(teachers),
            "held_out": list(fold),
            "test_chromosomes": list(recipe.data.test),
            "minutes_since_last_start": round((time.monotonic() - started) / 60, 1),
        },
    )
    save_checkpoint(folder, network, config, {"human": data.tables})
    shutil.rmtree(progress)
    return folder


def _arrays_hash(folder: Path) -> str:
    """Of a network's numbers alone: other files say how long it took."""
    return hashlib.sha256((folder / ARRAYS_FILE).read_bytes()).hexdigest()


def _seed(seed: int, name: str, begun: str | None) -> int:
    """Of one network's training: another for each network and for each that it begins with, whatever the schedule."""
    return int(hashlib.sha256(f"{seed} {name} {begun}".encode()).hexdigest()[:8], 16)


def _of_one_teacher(recipe: Recipe) -> Recipe:
    """A recipe without what changes nothing of a teacher: the others' folds, and the student."""
    data = dataclasses.replace(recipe.data, folds=())
    return dataclasses.replace(recipe, data=data, student=())


def _check_recipe(folder: Path, digest: str) -> None:
    """Raises OutputError where a folder has a network, or a part of its training, by another recipe."""
    found = [path.name.removeprefix(_PROGRESS) for path in folder.glob(f"{_PROGRESS}*")]
    if (folder / HASHES_FILE).exists():
        found.append(str(read_config(folder).training.get("recipe")))
    if others := [name for name in found if name != digest]:
        raise OutputError(
            f"{folder}\nwas trained by another recipe (found {others[0]}, expected {digest})",
            hint="name another folder, or remove this one",
        )
