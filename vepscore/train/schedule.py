"""How one network is trained: its steps, windows, losses and learning rate, as tables of a recipe."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, StrictBool

from vepscore.networks.alphagenome.config import TRACK_RESOLUTIONS_BP, Fraction
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP, Output
from vepscore.schema import CLOSED, Number, Whole, expected, field_error

MOST = 10**9  # upper bound of every count

Text = Annotated[str, Field(min_length=1)]
Names = Annotated[tuple[Text, ...], Field(min_length=1)]
Count = Annotated[int, Whole(1, MOST)]
WindowBp = Annotated[int, Whole(PAIR_BIN_BP, MAX_WINDOW_BP, step=PAIR_BIN_BP)]
Weight = Annotated[float, Number(least=0)]
_MeanWeight = Annotated[float, Number(above=0, below=1)]


def _check_track(output: Output) -> Output:
    if output not in TRACK_RESOLUTIONS_BP:
        raise ValueError("is not an output of coverage tracks")
    return output


_Track = Annotated[
    Output, AfterValidator(_check_track), expected(f"one of {', '.join(TRACK_RESOLUTIONS_BP)}")
]
_TRACK_WEIGHTS = dict.fromkeys(TRACK_RESOLUTIONS_BP, 0.1)
_TrackWeights = Annotated[Mapping[_Track, Weight], AfterValidator(lambda given: _TRACK_WEIGHTS | given)]


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
    negative_sites: Annotated[int, Whole(0, MOST)] = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Consecutive steps with windows of one width."""

    __pydantic_config__ = CLOSED

    steps: Count
    window_bp: WindowBp
    windows: Count  # per step
    mine_hard_negatives: StrictBool = False  # before the first step, on all training sequence
    teacher_bp: WindowBp | None = None  # width of the teachers' windows, if less than `window_bp`
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

    usage: Weight = 0.3
    junctions: Weight = 0.2
    # The loss of each output at each resolution.
    tracks: _TrackWeights = dataclasses.field(default_factory=lambda: dict(_TRACK_WEIGHTS))
    log_coverage: Weight = 0.0  # squared error of log(1 + coverage) of each output
    contacts: Weight = 0.1
    tss: Weight = 0.0  # of an auxiliary head that predicts TSSs; used in training only, not saved


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How one network is trained."""

    __pydantic_config__ = CLOSED

    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    # Learning rate of AdamW, after warm-up and before cosine decay.
    peak_rate: Annotated[float, Number(above=0)]
    warmup: Annotated[float, Number(least=0, below=1)] = 0.05  # fraction of the steps
    weight_decay: Weight = 0.01
    weights: Weights = Weights()
    sampling: Sampling = Sampling()
    # The student is initialized from this teacher; None: from random parameters.
    from_teacher: Count | None = None
    # Times that a student is trained, each with its own windows; the result is their mean.
    repeats: Count = 1
    # Weights of earlier students in that mean, by name; `student-1` is the first.
    weight_average: Mapping[str, _MeanWeight] = dataclasses.field(default_factory=dict)
    # Earlier students that predict the targets; empty: the recipe's teachers do.
    teachers: tuple[Text, ...] = ()

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


LabelSchedule = Annotated[Schedule, AfterValidator(_check_teachers)]  # of a network trained on labels
