"""What a training run is made of, as a TOML file says it: data, network, teachers and student."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool

from vepscore.errors import TrainingError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.text_file import ENCODING
from vepscore.genome.windows import MIN_WINDOW_BP
from vepscore.model.config import TRACK_RESOLUTIONS_BP, Fraction, ModelConfig
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP, Output
from vepscore.schema import CLOSED, Number, Whole, expected, field_error, parse

_MOST = 10**9  # of anything that is counted

_Text = Annotated[str, Field(min_length=1)]
_Names = Annotated[tuple[_Text, ...], Field(min_length=1)]
_Count = Annotated[int, Whole(1, _MOST)]
_WindowBp = Annotated[int, Whole(PAIR_BIN_BP, MAX_WINDOW_BP, step=PAIR_BIN_BP)]
_Weight = Annotated[float, Number(least=0)]


def _check_track(output: Output) -> Output:
    if output not in TRACK_RESOLUTIONS_BP:
        raise ValueError("no head predicts its coverage")
    return output


_Track = Annotated[
    Output, AfterValidator(_check_track), expected(f"one of {', '.join(TRACK_RESOLUTIONS_BP)}")
]
_TRACK_WEIGHTS = dict.fromkeys(TRACK_RESOLUTIONS_BP, 0.1)
_TrackWeights = Annotated[Mapping[_Track, _Weight], AfterValidator(lambda given: _TRACK_WEIGHTS | given)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContactSources:
    """Names of the files that contact maps are drawn from."""

    __pydantic_config__ = CLOSED

    loops: _Text  # BEDPE, hg19
    domains: _Text  # BEDPE, hg19
    chain: _Text  # from hg19 to hg38


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Names of the files in the data folder, and what of them is held out."""

    __pydantic_config__ = CLOSED

    sequence: _Names  # FASTA files; a contig `chrom:start-end` (1-based, inclusive) is a slice of `chrom`
    genes: _Text  # GTF
    tracks: _Text  # .npz of coverage in bins of 32 bp, with .regions.tsv and .tracks.tsv beside it
    test: tuple[_Text, ...]  # chromosomes that nothing is trained on
    folds: Annotated[tuple[_Names, ...], Field(min_length=1)]  # chromosomes that each teacher excludes too
    contacts: ContactSources | None = None

    @property
    def names(self) -> list[str]:
        """Of all files."""
        contacts = dataclasses.astuple(self.contacts) if self.contacts else ()
        return [*self.sequence, self.genes, self.tracks, *contacts]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Where windows lie; what is left to one is uniform over the sequence."""

    __pydantic_config__ = CLOSED

    mistakes: Fraction = 0.0  # share at what the network took for a splice site, once that was looked for
    sites: Fraction = 0.5  # share of the others that holds a splice site, each as often as any other
    regions: Fraction = 0.3  # share of the others that lies in a region with coverage
    starts: Fraction = 0.0  # share of the others that holds a transcript's start, each as often as any other
    mutated: Fraction = 0.0  # a window has between none and this share of its bases redrawn
    broken: Fraction = 0.0  # share of splice sites whose two bases of the intron are redrawn
    # Bases per class of site that are no site: a network learns that there are no junctions between them.
    decoys: Annotated[int, Whole(0, _MOST)] = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps with windows of one size."""

    __pydantic_config__ = CLOSED

    steps: _Count
    window_bp: _WindowBp
    windows: _Count  # per step
    find_mistakes: StrictBool = False  # first, over all of the sequence, to draw windows around them
    teacher_bp: _WindowBp | None = None  # of windows in which teachers predict, where less than `window_bp`
    sampling: Sampling | None = None  # where its windows lie; none: as the schedule says
    measured: StrictBool = False  # a student learns the coverage that was measured, not what teachers say

    def __post_init__(self) -> None:
        if self.teacher_bp and self.window_bp % self.teacher_bp:
            raise field_error(
                "teacher_bp", self.teacher_bp, f"a width that divides window_bp, {self.window_bp}"
            )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each loss counts for; that of splice sites counts one."""

    __pydantic_config__ = CLOSED

    usage: _Weight = 0.3
    junctions: _Weight = 0.2
    # Of each output at each resolution.
    tracks: _TrackWeights = dataclasses.field(default_factory=lambda: dict(_TRACK_WEIGHTS))
    logarithms: _Weight = 0.0  # the squared error of each output's logarithm
    contacts: _Weight = 0.1
    starts: _Weight = 0.0  # of transcripts, by a head that is there in training alone


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How one network is trained."""

    __pydantic_config__ = CLOSED

    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    peak_rate: Annotated[float, Number(above=0)]  # of AdamW; warmed up, then decayed along a cosine
    warmup: Annotated[float, Number(least=0, below=1)] = 0.05  # share of the steps
    weight_decay: _Weight = 0.01
    weights: Weights = Weights()
    sampling: Sampling = Sampling()
    from_teacher: _Count | None = None  # whose parameters a student starts from; none: from scratch
    runs: _Count = 1  # of a student from where it starts, each with its own windows; their mean is the result
    # Fractions of that mean that are of students before it, by name: `student-1` is the first.
    kept: Mapping[str, Annotated[float, Number(above=0, below=1)]] = dataclasses.field(default_factory=dict)
    taught_by: tuple[_Text, ...] = ()  # students before it, whose predictions it learns; none: the teachers'

    def __post_init__(self) -> None:
        if sum(self.kept.values()) >= 1:
            raise field_error("kept", sum(self.kept.values()), "shares whose sum is below 1")
        at_mistakes = any(self.sampling_of(stage).mistakes for stage in self.stages)
        if at_mistakes and not any(stage.find_mistakes for stage in self.stages):
            raise ValueError("stages: none has find_mistakes, and sampling has a share of mistakes")

    @property
    def steps(self) -> int:
        """Over all stages."""
        return sum(stage.steps for stage in self.stages)

    def sampling_of(self, stage: Stage) -> Sampling:
        """Where the windows of a stage lie."""
        return stage.sampling or self.sampling

    def shortened(self, share: float) -> "Schedule":
        """The same with a share of the steps, at least one a stage."""
        stages = [dataclasses.replace(s, steps=max(1, round(s.steps * share))) for s in self.stages]
        return dataclasses.replace(self, stages=tuple(stages))


def _check_teachers(schedule: Schedule) -> Schedule:
    """Return a schedule that has nothing that is for students alone."""
    defaults = {"from_teacher": None, "runs": 1, "kept": {}, "taught_by": ()}
    for name, default in defaults.items():
        if getattr(schedule, name) != default:
            raise ValueError(f"{name}: is for the student")
    for stage in schedule.stages:
        if stage.teacher_bp or stage.measured:
            raise ValueError("stages: teacher_bp and measured are for the student")
        if schedule.sampling_of(stage).broken:
            raise ValueError("sampling.broken: is for the student: labels do not say what becomes of a site")
    return schedule


def _of_one_organism(sizes: object) -> object:
    """Return the sizes of a network with all that a recipe leaves to the data but the heads."""
    if not isinstance(sizes, dict):
        return sizes
    if given := sorted({"organisms", "heads"} & sizes.keys()):
        raise ValueError(f"{given[0]}: comes from the data")
    return sizes | {"organisms": 1}


_TeacherSchedule = Annotated[Schedule, AfterValidator(_check_teachers)]
_Network = Annotated[ModelConfig, BeforeValidator(_of_one_organism)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the checkpoint is run with where a command does not say otherwise."""

    __pydantic_config__ = CLOSED

    window_bp: Annotated[int, Whole(MIN_WINDOW_BP, MAX_WINDOW_BP, step=PAIR_BIN_BP)] = MAX_WINDOW_BP
    indel_anchor: IndelAnchor = IndelAnchor.BOTH
    scorers: _Names | None = None  # none: every scorer that can run


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run."""

    __pydantic_config__ = CLOSED

    name: _Text  # of the checkpoint
    licence: _Text  # SPDX identifier
    seed: Annotated[int, Whole(0, 2**63 - 1)]
    data: Sources
    network: _Network  # heads left to what the data have
    teachers: _TeacherSchedule  # trained on labels, one per fold
    # Trained on what the teachers predict, by one schedule after the other.
    student: Annotated[tuple[Schedule, ...], Field(min_length=1)]
    # Not in `repr`, which names a training: they change nothing of it.
    defaults: Defaults = dataclasses.field(default=Defaults(), repr=False)

    def __post_init__(self) -> None:
        for number, schedule in enumerate(self.student):
            try:
                self._check_student(number, schedule)
            except ValueError as error:
                raise ValueError(f"student[{number}].{error}") from error

    def _check_student(self, number: int, schedule: Schedule) -> None:
        """Raise ValueError where the student so numbered, from 0, starts from or learns from what is not there."""
        teacher, teachers = schedule.from_teacher, len(self.data.folds)
        if teacher and number:
            raise ValueError("from_teacher: is for the first [[student]]; the next start from the one before")
        if teacher and teacher > teachers:
            raise field_error("from_teacher", teacher, f"at most {teachers}: one for each of data.folds")
        if not teacher and not number and schedule.runs != 1:
            raise field_error("runs", schedule.runs, "1, since this student starts from scratch")
        before = [f"student-{earlier}" for earlier in range(1, number + 1)]
        for field in ("kept", "taught_by"):
            if unknown := sorted(set(getattr(schedule, field)) - set(before)):
                raise field_error(field, unknown[0], f"one before it: {', '.join(before) or 'there is none'}")

    def shortened(self, share: float) -> "Recipe":
        """The same with a share of the steps."""
        return dataclasses.replace(
            self,
            teachers=self.teachers.shortened(share),
            student=tuple(schedule.shortened(share) for schedule in self.student),
        )


def read_recipe(path: Path) -> Recipe:
    """Reads a recipe.

    Raises:
        TrainingError: it cannot be read, is not TOML, or its fields do not fit.
    """
    try:
        values = tomllib.loads(path.read_text(encoding=ENCODING))
    except OSError as error:
        raise TrainingError(f"{path}\ncannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{path}\nis not TOML: {error}") from error
    try:
        return parse(Recipe, values)
    except ValueError as error:
        raise TrainingError(
            f"{path}\n{error}", hint="the recipe of the embedded checkpoint shows the form"
        ) from error
