"""Train the splicing part of a recipe, and join it with a student that predicts the other outputs.

    OUTPUT/labels/       what the teachers predict, by chunk of the sequence; kept, and used by the next run
    OUTPUT/splicing/     a checkpoint that predicts splicing alone, with the logs of its two trainings
    OUTPUT/checkpoint/   the whole network

A finished part is not trained again, so rerunning the same command resumes an interrupted run.
"""

import dataclasses
import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from vepscore.engine.settings import fixed_settings
from vepscore.errors import TrainingError
from vepscore.genome.cache import cache_dir
from vepscore.model.checkpoint import (
    ARRAYS_FILE,
    TRACKS_FILE,
    CheckpointConfig,
    checkpoint_digest,
    load_checkpoint,
    publish_checkpoint,
    read_config,
    save_checkpoint,
)
from vepscore.model.family import abstract_network, find_family
from vepscore.model.loading import parameter_count
from vepscore.model.stored_arrays import StoredArrays
from vepscore.model.track_table import read_tracks
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.compact.compact_config import SPLICING, CompactConfig, SpliceStackConfig
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.outputs import Output, Tracks
from vepscore.train.labels import label_tracks
from vepscore.train.recipe import CommonRecipe
from vepscore.train.segments import read_segments
from vepscore.train.splicing.junction_training import train_junctions
from vepscore.train.splicing.label_store import Chunk, choose_chunks, label_chunks, list_chunks, read_labels
from vepscore.train.splicing.splice_teachers import SpliceTeachers, TeacherFacts, find_checkpoint
from vepscore.train.splicing.splice_windows import SpliceWindows
from vepscore.train.splicing.splicing_recipe import Splicing
from vepscore.train.splicing.stack_training import StackTraining, train_stack
from vepscore.train.step_loop import Observe as StepObserve
from vepscore.train.training_data import TrainingData
from vepscore.train.training_folder import (
    LOG_FILE,
    Observe,
    arrays_hash,
    describe_checkpoint,
    open_training,
    training_seed,
)

log = logging.getLogger(__name__)

LABELS_FOLDER, SPLICING_FOLDER, JOINED_FOLDER = "labels", "splicing", "checkpoint"
FAMILY = "compact"

_TRACKS = "tracks."  # before the names of a whole network's arrays that are not of its splicing
_JUNCTIONS_LOG = "log-junctions.jsonl"
_NO_SITE_LOGIT = 6.0  # first bias of the class that is no site


class SplicingSources(NamedTuple):
    """What `[splicing]` names: directories of checkpoints, and files of sequence."""

    teachers: Sequence[Path]
    start: Path | None = None
    more_sequence: Sequence[Path] = ()  # those that exist

    @property
    def directories(self) -> list[Path]:
        """All directories."""
        return [*self.teachers, *([self.start] if self.start else [])]


def find_sources(recipe: CommonRecipe, data: Path) -> SplicingSources:
    """Return the checkpoints and the sequence that `[splicing]` names, if the recipe has it.

    Raises:
        CheckpointError: there is no such checkpoint in the data directory, nor elsewhere.
    """
    splicing = recipe.splicing
    if splicing is None:
        return SplicingSources([])
    start = find_checkpoint(splicing.start, data) if splicing.start else None
    named = [data / name for name in splicing.more_sequence]
    more = [path for path in named if path.exists()]
    for path in sorted({*named} - {*more}):
        log.warning("%s is not there; splicing is trained without it", path)
    return SplicingSources([find_checkpoint(name, data) for name in splicing.teachers], start, more)


@fixed_settings()
def train_compact(
    recipe: CommonRecipe,
    data: TrainingData,
    output: Path,
    sources: SplicingSources,
    student: Path,
    observe: Observe = lambda *_: None,
) -> Path:
    """Train the splicing part and join it with a student; return the directory of the whole network.

    The arguments are those of `train_splicing` and of `join_checkpoints`.
    """
    _read_student(student)  # before the hours of training
    splicing = train_splicing(recipe, data, output, sources, observe)
    return join_checkpoints(recipe, splicing, student, output)


def train_splicing(
    recipe: CommonRecipe,
    data: TrainingData,
    output: Path,
    sources: SplicingSources,
    observe: Observe = lambda *_: None,
) -> Path:
    """Label the sequence, then train the stack and its heads; return the directory of the checkpoint.

    Args:
        recipe: has a table `[splicing]`.
        data: the data that the recipe names.
        output: directory of the run.
        sources: what `[splicing]` names.
        observe: called after each chunk and each step.

    Raises:
        TrainingError: a teacher does not predict splice sites at 1 bp, or the checkpoint to start from has no splicing
            of this architecture.
        OutputError: the directory has a network of another recipe.
    """
    splicing = recipe.splicing
    assert splicing is not None
    folder, facts = output / SPLICING_FOLDER, [TeacherFacts.read(teacher) for teacher in sources.teachers]
    started = checkpoint_digest(sources.start) if sources.start else None
    more = [path.name for path in sources.more_sequence]
    digest = _hash(recipe.seed, recipe.data, splicing, [each.checkpoint for each in facts], started, more)
    progress = open_training(folder, digest)
    if progress is None:
        return folder
    seed = training_seed(recipe.seed, SPLICING_FOLDER)
    architecture = CompactConfig(splicing=splicing.network, tracks=ModelConfig(organisms=1))
    network = CompactNetwork(architecture, rngs=nnx.Rngs(seed))
    _initialize(network, splicing.network, sources.start)
    networks = SpliceTeachers(sources.teachers)
    of_labels = [each.checkpoint for each in facts], splicing.labeling.networks
    labels = output / LABELS_FOLDER / _hash(*of_labels)[:16]
    chunks = _choose_chunks(recipe, data, sources.more_sequence)
    windows = _label_windows(splicing, chunks, networks, labels, observe)
    train_stack(
        network,
        StackTraining(splicing=splicing, windows=windows, teachers=networks, seed=seed),
        log=folder / LOG_FILE,
        progress=progress / "stack",
        observe=_named(observe, SPLICING_FOLDER, splicing.steps),
    )
    train_junctions(
        network,
        splicing.junctions,
        data.windows(splicing.held_out),
        seed=seed,
        log=folder / _JUNCTIONS_LOG,
        progress=progress / "junctions",
        observe=_named(observe, "junctions", splicing.junctions.steps),
    )
    training = {
        "recipe": digest,
        "parameters": parameter_count(network),
        "splicing": {name: value for name, value in dataclasses.asdict(splicing).items() if name != "start"},
        "splicing_teachers": [each._asdict() for each in facts],
        "splicing_start": started,
        "more_sequence": more,
        "test_chromosomes": list(recipe.data.test),
    }
    config = describe_checkpoint(recipe, architecture, training, FAMILY)
    save_checkpoint(folder, network, config, {"human": label_tracks()})
    shutil.rmtree(progress)
    return folder


def join_checkpoints(recipe: CommonRecipe, splicing: Path, student: Path, output: Path) -> Path:
    """Write the whole network: the splicing of one checkpoint, and what a student predicts beside it.

    Args:
        recipe: names the checkpoint and its defaults.
        splicing: directory of a checkpoint of the compact family, without tracks.
        student: directory of an AlphaGenome checkpoint, or of a whole network; its splicing is dropped.
        output: directory of the run; the checkpoint is written to `OUTPUT/checkpoint`.

    Raises:
        TrainingError: the student is of another family or has several organisms.
        OutputError: there is a checkpoint of other parts.
    """
    folder, of_stack, of_student = output / JOINED_FOLDER, read_config(splicing), _read_student(student)
    digest = _hash(recipe.name, recipe.defaults, arrays_hash(splicing), arrays_hash(student))
    if open_training(folder, digest) is None:
        return folder
    heads = {name: channels for name, channels in of_student.sizes.heads.items() if name not in SPLICING}
    architecture = dataclasses.replace(
        of_stack.architecture, tracks=dataclasses.replace(of_student.sizes, heads=heads)
    )
    dropped = tuple(f"heads.{name}." for name in SPLICING)
    arrays = _read_arrays(splicing) | {
        f"{_TRACKS}{name.removeprefix(of_student.prefix)}": array
        for name, array in _read_arrays(student).items()
        if name.startswith(of_student.prefix) and not name.startswith(dropped)
    }
    tracks = _read_tracks(student) | _read_tracks(
        splicing
    )  # those of the stack in the place of the student's
    training = {
        **of_stack.training,
        "recipe": digest,
        "parameters": parameter_count(abstract_network(find_family(FAMILY), architecture)),
        "student": of_student.training,
    }
    config = describe_checkpoint(recipe, architecture, training, FAMILY)
    config = dataclasses.replace(config, rotary_dtype=of_student.config.rotary_dtype)
    publish_checkpoint(folder, arrays, config, {"human": tracks})
    return folder


class _Student(NamedTuple):
    """What a student predicts beside splicing."""

    config: CheckpointConfig
    sizes: ModelConfig
    training: Mapping[str, Any]
    prefix: str  # of its arrays


def _read_student(student: Path) -> _Student:
    config = read_config(student)
    match config.architecture:
        case ModelConfig(organisms=1) as sizes:
            return _Student(config, sizes, dict(config.training), "")
        case CompactConfig(tracks=sizes) if sizes.heads:
            return _Student(config, sizes, config.training.get("student", {}), _TRACKS)
    raise TrainingError(
        f"{student}\nis no network of one organism of the family alphagenome, and has none as a part",
        hint="give a student that `vepscore train` has trained",
    )


def _initialize(network: CompactNetwork, sizes: SpliceStackConfig, start: Path | None) -> None:
    """Give the splicing of a network its first parameters: those of a checkpoint, or a bias, because sites are rare."""
    if start is None:
        assert network.splice_heads is not None
        bias = network.splice_heads.sites.linear.bias
        bias[...] = bias[...].at[:, 0].set(_NO_SITE_LOGIT)
        return
    architecture = read_config(start).architecture
    if not isinstance(architecture, CompactConfig) or architecture.splicing != sizes:
        raise TrainingError(
            f"{start}\nhas no splicing of the architecture in splicing.network",
            hint="name a checkpoint that was trained with the same splicing.network, or omit splicing.start",
        )
    found = load_checkpoint(start, outputs=SPLICING).network
    assert isinstance(found, CompactNetwork)
    nnx.update(network.stack, nnx.state(found.stack))
    nnx.update(network.splice_heads, nnx.state(found.splice_heads))


def _choose_chunks(recipe: CommonRecipe, data: TrainingData, more_sequence: Sequence[Path]) -> list[Chunk]:
    """Return the chunks to label, of the training sequence and of more."""
    splicing = recipe.splicing
    assert splicing is not None
    labeling, segments = splicing.labeling, data.training_segments(splicing.held_out)
    chosen = choose_chunks(
        list_chunks(segments, data.annotation, labeling.chunk_bp),
        labeling.genes,
        labeling.elsewhere,
        recipe.seed,
    )
    if not chosen:
        raise TrainingError("splicing.labeling: no chunk of the training sequence is labeled")
    more = list_chunks(read_segments(more_sequence, cache_dir()), None, labeling.chunk_bp)
    return chosen + choose_chunks(more, labeling.more, labeling.more, recipe.seed)


def _label_windows(
    splicing: Splicing, chunks: Sequence[Chunk], teachers: SpliceTeachers, folder: Path, observe: Observe
) -> SpliceWindows:
    """Return windows of chunks; those that have no labels yet are labeled."""

    def report(count: int) -> None:
        observe(LABELS_FOLDER, count, len(chunks), {"total": 0.0})

    label_chunks(chunks, teachers, folder, splicing.labeling.networks, report)
    flank_bp = max(splicing.network.reach_bp, teachers.flank_bp)
    return SpliceWindows(chunks, read_labels(chunks, folder), flank_bp)


def _named(observe: Observe, name: str, steps: int) -> StepObserve:
    return lambda step, losses: observe(name, step, steps, losses)


def _read_arrays(checkpoint: Path) -> dict[str, np.ndarray]:
    stored = StoredArrays(checkpoint / ARRAYS_FILE)
    return dict(stored.read(stored.shapes, {}))


def _read_tracks(checkpoint: Path) -> dict[Output, Tracks]:
    return dict(read_tracks(checkpoint / TRACKS_FILE, "human"))


def _hash(*values: object) -> str:
    return hashlib.sha256(repr(values).encode()).hexdigest()
