"""Recipes: TOML files that define a training run, with its data, network, teachers and students."""

import dataclasses
import logging
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from vepscore.errors import TrainingError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.text_file import ENCODING
from vepscore.networks.alphagenome.config import MIN_WINDOW_BP, TRACK_RESOLUTIONS_BP, Fraction, ModelConfig
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP, Output
from vepscore.schema import CLOSED, Number, Whole, expected, field_error, parse

log = logging.getLogger(__name__)

# Keys of version 0.1, by the name of their table; still read, with a warning.
_RENAMED = {
    "recipe": {"licence": "license"},
    "sampling": {
        "mistakes": "hard_negatives",
        "starts": "tss",
        "broken": "splice_site_mutation_rate",
        "decoys": "negative_sites",
    },
    "stages": {"find_mistakes": "mine_hard_negatives"},
    "student": {"kept": "weight_average", "runs": "repeats", "taught_by": "teachers"},
    "weights": {"logarithms": "log_coverage", "starts": "tss"},
}
_MOST = 10**9  # upper bound of every count

_Text = Annotated[str, Field(min_length=1)]
_Names = Annotated[tuple[_Text, ...], Field(min_length=1)]
_Count = Annotated[int, Whole(1, _MOST)]
_WindowBp = Annotated[int, Whole(PAIR_BIN_BP, MAX_WINDOW_BP, step=PAIR_BIN_BP)]
_Weight = Annotated[float, Number(least=0)]
_MeanWeight = Annotated[float, Number(above=0, below=1)]


def _check_track(output: Output) -> Output:
    if output not in TRACK_RESOLUTIONS_BP:
        raise ValueError("is not an output of coverage tracks")
    return output


_Track = Annotated[
    Output, AfterValidator(_check_track), expected(f"one of {', '.join(TRACK_RESOLUTIONS_BP)}")
]
_TRACK_WEIGHTS = dict.fromkeys(TRACK_RESOLUTIONS_BP, 0.1)
_TrackWeights = Annotated[Mapping[_Track, _Weight], AfterValidator(lambda given: _TRACK_WEIGHTS | given)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Names of the files in the data directory, and the chromosomes that are held out."""

    __pydantic_config__ = CLOSED

    sequence: _Names  # FASTA files; a contig `chrom:start-end` (1-based, inclusive) is a slice of `chrom`
    genes: _Text  # GTF
    tracks: _Text  # .npz with coverage in bins of 32 bp; .regions.tsv and .tracks.tsv are read from beside it
    test: tuple[_Text, ...]  # chromosomes that no network is trained on
    # Chromosomes that each teacher excludes as well.
    folds: Annotated[tuple[_Names, ...], Field(min_length=1)]
    # Files of contact maps; the keys are those of their reader, see `training_data.read_data`.
    contacts: Mapping[str, _Text] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of all files."""
        return [*self.sequence, self.genes, self.tracks, *self.contacts.values()]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Positions and mutations of training windows. Windows of no named kind are uniform over the sequence."""

    __pydantic_config__ = CLOSED

    hard_negatives: Fraction = 0.0  # fraction of windows around a hard negative, once some were mined
    # Fraction of the other windows that contain a splice site; sites are equally likely.
    sites: Fraction = 0.5
    regions: Fraction = 0.3  # fraction of the other windows in a region with coverage
    tss: Fraction = 0.0  # fraction of the other windows that contain a TSS; TSSs are equally likely
    mutated: Fraction = 0.0  # largest fraction of mutated bases in a window; each window draws its own
    # Fraction of splice sites whose intronic dinucleotide is randomized.
    splice_site_mutation_rate: Fraction = 0.0
    # Positions per class of splice site that are not sites: targets are that they have no junctions.
    negative_sites: Annotated[int, Whole(0, _MOST)] = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Consecutive steps with windows of one width."""

    __pydantic_config__ = CLOSED

    steps: _Count
    window_bp: _WindowBp
    windows: _Count  # per step
    mine_hard_negatives: StrictBool = False  # before the first step, on all training sequence
    teacher_bp: _WindowBp | None = None  # width of the teachers' windows, if less than `window_bp`
    sampling: Sampling | None = None  # None: that of the schedule
    measured: StrictBool = False  # the student's coverage targets are measured, not predicted by teachers

    def __post_init__(self) -> None:
        if self.teacher_bp and self.window_bp % self.teacher_bp:
            raise field_error(
                "teacher_bp", self.teacher_bp, f"a width that divides window_bp, {self.window_bp}"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights of the losses; that of splice sites is 1."""

    __pydantic_config__ = CLOSED

    usage: _Weight = 0.3
    junctions: _Weight = 0.2
    # The loss of each output at each resolution.
    tracks: _TrackWeights = dataclasses.field(default_factory=lambda: dict(_TRACK_WEIGHTS))
    log_coverage: _Weight = 0.0  # squared error of log(1 + coverage) of each output
    contacts: _Weight = 0.1
    tss: _Weight = 0.0  # of an auxiliary head that predicts TSSs; used in training only, not saved


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How one network is trained."""

    __pydantic_config__ = CLOSED

    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    # Learning rate of AdamW, after warm-up and before cosine decay.
    peak_rate: Annotated[float, Number(above=0)]
    warmup: Annotated[float, Number(least=0, below=1)] = 0.05  # fraction of the steps
    weight_decay: _Weight = 0.01
    weights: Weights = Weights()
    sampling: Sampling = Sampling()
    # The student is initialized from this teacher; None: from random parameters.
    from_teacher: _Count | None = None
    # Times that a student is trained, each with its own windows; the result is their mean.
    repeats: _Count = 1
    # Weights of earlier students in that mean, by name; `student-1` is the first.
    weight_average: Mapping[str, _MeanWeight] = dataclasses.field(default_factory=dict)
    # Earlier students that predict the targets; empty: the recipe's teachers do.
    teachers: tuple[_Text, ...] = ()

    def __post_init__(self) -> None:
        if (total := sum(self.weight_average.values())) >= 1:
            raise field_error("weight_average", total, "weights whose sum is below 1")
        needs_mining = any(self.sampling_of(stage).hard_negatives for stage in self.stages)
        if needs_mining and not any(stage.mine_hard_negatives for stage in self.stages):
            raise ValueError("stages: none has mine_hard_negatives, which sampling.hard_negatives needs")

    @property
    def steps(self) -> int:
        """Number of steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def sampling_of(self, stage: Stage) -> Sampling:
        """Return the sampling of a stage."""
        return stage.sampling or self.sampling

    def shortened(self, fraction: float) -> "Schedule":
        """Return the schedule with a fraction of the steps, at least one per stage."""
        stages = [dataclasses.replace(s, steps=max(1, round(s.steps * fraction))) for s in self.stages]
        return dataclasses.replace(self, stages=tuple(stages))


def _check_teachers(schedule: Schedule) -> Schedule:
    """Return the schedule if it has nothing that only students may have."""
    defaults: dict[str, object] = {"from_teacher": None, "repeats": 1, "weight_average": {}, "teachers": ()}
    for name, default in defaults.items():
        if getattr(schedule, name) != default:
            raise ValueError(f"{name}: only a student may have this")
    for stage in schedule.stages:
        if stage.teacher_bp or stage.measured:
            raise ValueError("stages: only a student may have teacher_bp and measured")
        if schedule.sampling_of(stage).splice_site_mutation_rate:
            raise ValueError(
                "sampling.splice_site_mutation_rate: only a student may have this; mutated sites have no labels"
            )
    return schedule


def _of_one_organism(sizes: object) -> object:
    """Return the sizes of a network, complete but for the heads, which depend on the data."""
    if not isinstance(sizes, dict):
        return sizes
    if given := sorted({"organisms", "heads"} & sizes.keys()):
        raise ValueError(f"{given[0]}: comes from the data")
    return sizes | {"organisms": 1}


_TeacherSchedule = Annotated[Schedule, AfterValidator(_check_teachers)]
_Network = Annotated[ModelConfig, BeforeValidator(_of_one_organism)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Options with which the checkpoint is used if a command does not give them."""

    __pydantic_config__ = CLOSED

    window_bp: Annotated[int, Whole(MIN_WINDOW_BP, MAX_WINDOW_BP, step=PAIR_BIN_BP)] = MAX_WINDOW_BP
    indel_anchor: IndelAnchor = IndelAnchor.BOTH
    scorers: _Names | None = None  # None: every scorer that can run


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run."""

    __pydantic_config__ = CLOSED

    name: _Text  # of the checkpoint
    license: _Text  # SPDX identifier
    seed: Annotated[int, Whole(0, 2**63 - 1)]
    data: Sources
    network: _Network  # without heads, which depend on the data
    teachers: _TeacherSchedule  # trained on labels, one per fold
    # Trained on predictions of the teachers, one after the other.
    student: Annotated[tuple[Schedule, ...], Field(min_length=1)]
    # Not in `repr`, from which a training's hash is computed: they do not affect training.
    defaults: Defaults = dataclasses.field(default=Defaults(), repr=False)

    def __post_init__(self) -> None:
        for number, schedule in enumerate(self.student):
            try:
                self._check_student(number, schedule)
            except ValueError as error:
                raise ValueError(f"student[{number}].{error}") from error

    def _check_student(self, number: int, schedule: Schedule) -> None:
        """Raise ValueError if student `number`, from 0, names a teacher or an earlier student that does not exist."""
        teacher, teachers = schedule.from_teacher, len(self.data.folds)
        if teacher and number:
            raise ValueError(
                "from_teacher: only the first [[student]] may have this; others start from the one before"
            )
        if teacher and teacher > teachers:
            raise field_error("from_teacher", teacher, f"at most {teachers}: one for each of data.folds")
        if not teacher and not number and schedule.repeats != 1:
            raise field_error(
                "repeats", schedule.repeats, "1, because this student starts from random parameters"
            )
        before = [f"student-{earlier}" for earlier in range(1, number + 1)]
        for field in ("weight_average", "teachers"):
            if unknown := sorted(set(getattr(schedule, field)) - set(before)):
                raise field_error(
                    field, unknown[0], f"an earlier one: {', '.join(before) or 'there is none'}"
                )

    def shortened(self, fraction: float) -> "Recipe":
        """Return the recipe with a fraction of the steps."""
        return dataclasses.replace(
            self,
            teachers=self.teachers.shortened(fraction),
            student=tuple(schedule.shortened(fraction) for schedule in self.student),
        )


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        TrainingError: the file cannot be read or is not TOML, or a field is missing, unknown or invalid.
    """
    try:
        values = tomllib.loads(path.read_text(encoding=ENCODING))
    except OSError as error:
        raise TrainingError(f"{path}\ncannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{path}\nis not TOML: {error}") from error
    if renamed := sorted(set(_rename(values, "recipe"))):
        log.warning("%s: former names of keys, which will be removed: %s", path, ", ".join(renamed))
    try:
        return parse(Recipe, values)
    except ValueError as error:
        raise TrainingError(
            f"{path}\n{error}", hint="see the recipe of the embedded checkpoint for an example"
        ) from error


def _rename(values: object, table: str) -> Iterator[str]:
    """Give keys of version 0.1 their present names, in place; yield "old (now new)" for each."""
    if isinstance(values, list):
        for each in values:
            yield from _rename(each, table)
    elif isinstance(values, dict):
        for old, new in _RENAMED.get(table, {}).items():
            if old in values and new not in values:
                values[new] = values.pop(old)
                yield f"{table}.{old} (now {new})"
        for key, each in values.items():
            yield from _rename(each, key)
