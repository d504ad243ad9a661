"""What a training run is made of, as a TOML file says it: data, network, teachers and student."""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vepscore.errors import TrainingError
from vepscore.model.config import PAIR_BIN_BP, TRACK_RESOLUTIONS_BP, ModelConfig
from vepscore.outputs import Output


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ContactSources:
    """Names of the files that contact maps are drawn from."""

    loops: str  # BEDPE, hg19
    domains: str  # BEDPE, hg19
    chain: str  # from hg19 to hg38


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Names of the files in the data folder, and what of them is held out."""

    sequence: tuple[
        str, ...
    ]  # FASTA files; a contig `chrom:start-end` (1-based, inclusive) is a slice of `chrom`
    genes: str  # GTF
    tracks: str  # .npz of coverage in bins of 32 bp, with .regions.tsv and .tracks.tsv beside it
    test: tuple[str, ...]  # chromosomes that nothing is trained on
    folds: tuple[tuple[str, ...], ...]  # chromosomes that each teacher leaves out besides
    contacts: ContactSources | None = None

    @property
    def names(self) -> list[str]:
        """Of all files."""
        contacts = dataclasses.astuple(self.contacts) if self.contacts else ()
        return [*self.sequence, self.genes, self.tracks, *contacts]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Where windows lie; what is left to one is uniform over the sequence."""

    mistakes: float = 0.0  # share at what the network took for a splice site, once that was looked for
    sites: float = 0.5  # share of the others that holds a splice site, each as often as any other
    regions: float = 0.3  # share of the others that lies in a region with coverage
    starts: float = (
        0.0  # share of the others that holds the start of a transcript, each as often as any other
    )
    mutated: float = 0.0  # a window has between none and this share of its bases drawn anew
    broken: float = 0.0  # share of splice sites whose two bases of the intron are drawn anew
    decoys: int = 0  # bases per class of site that are none, between which it is learnt that no junction is


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Steps with windows of one size."""

    steps: int
    window_bp: int
    windows: int  # per step
    find_mistakes: bool = False  # first, over all of the sequence, so that windows can be drawn around them
    teacher_bp: int | None = (
        None  # of the windows in which teachers predict, where that is less than `window_bp`
    )
    sampling: Sampling | None = None  # where its windows lie; none: as the schedule says
    measured: bool = False  # a student learns the coverage that was measured, not what teachers say


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each loss counts for; that of splice sites counts one."""

    usage: float = 0.3
    junctions: float = 0.2
    tracks: Mapping[Output, float] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(TRACK_RESOLUTIONS_BP, 0.1)
    )  # each output at each resolution
    logarithms: float = 0.0  # the squared error of each output's logarithm
    contacts: float = 0.1
    starts: float = 0.0  # of transcripts, by a head that is there in training alone


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How one network is trained."""

    stages: tuple[Stage, ...]
    peak_rate: float  # of AdamW; warmed up, then decayed along a cosine
    warmup: float = 0.05  # share of the steps
    weight_decay: float = 0.01
    weights: Weights = Weights()
    sampling: Sampling = Sampling()
    from_teacher: int | None = (
        None  # whose parameters a student starts from, counted from 1; none: from scratch
    )
    runs: int = 1  # of a student from where it starts, each with its own windows; their mean is the result
    kept: Mapping[str, float] = dataclasses.field(
        default_factory=dict
    )  # shares in that mean of students before it, by name: `student-1` is the first
    taught_by: tuple[str, ...] = ()  # students before it, whose predictions it learns; none: the teachers'

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A training run."""

    name: str  # of the checkpoint
    licence: str  # SPDX identifier
    seed: int
    data: Sources
    network: ModelConfig  # heads left to what the data have
    teachers: Schedule  # trained on labels, one per fold
    student: tuple[Schedule, ...]  # trained on what the teachers predict, by one after the other

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
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise TrainingError(f"{path}\ncannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TrainingError(f"{path}\nis not TOML: {error}") from error
    try:
        return _parse(values)
    except (TypeError, ValueError) as error:
        raise TrainingError(
            f"{path}\n{error}", hint="the recipe of the embedded checkpoint shows the form"
        ) from error


def _parse(values: Mapping[str, Any]) -> Recipe:
    sections = {"data": _sources, "network": _network, "teachers": _schedule}
    for name in sections:
        if not isinstance(values.get(name), dict):
            raise ValueError(f"no section [{name}]")
    made = {name: _make(make, values[name], name) for name, make in sections.items()}
    if not isinstance(values.get("student"), list) or not values["student"]:
        raise ValueError("no section [[student]]")
    first, *others = (_make(_schedule, schedule, "student") for schedule in values["student"])
    if made["teachers"].from_teacher is not None:
        raise ValueError("teachers: from_teacher is for the student")
    if any(other.from_teacher is not None for other in others):
        raise ValueError("student: from_teacher is for the first [[student]]; the next go on from it")
    if made["teachers"].runs != 1 or made["teachers"].kept or made["teachers"].taught_by:
        raise ValueError("teachers: runs, kept and taught_by are for the student")
    if first.from_teacher is None and first.runs != 1:
        raise ValueError("student: runs are for one that starts from a teacher or a student before it")
    for number, schedule in enumerate((first, *others)):
        before = [f"student-{earlier}" for earlier in range(1, number + 1)]
        for field, names in (("kept", schedule.kept), ("taught_by", schedule.taught_by)):
            if unknown := sorted(set(names) - set(before)):
                raise ValueError(
                    f"student: {field} names {unknown[0]}; before it there is {', '.join(before) or 'none'}"
                )
    for name in ("teacher_bp", "measured"):
        if any(getattr(stage, name) for stage in made["teachers"].stages):
            raise ValueError(f"teachers: {name} is for the student")
    if any(made["teachers"].sampling_of(stage).broken for stage in made["teachers"].stages):
        raise ValueError(
            "teachers: broken is for the student, since labels do not say what becomes of a site"
        )
    if not 1 <= (first.from_teacher or 1) <= len(made["data"].folds):
        raise ValueError(
            "student: from_teacher is no number of a teacher; there is one for each of data.folds"
        )
    return _make(Recipe, {**values, **made, "student": (first, *others)}, "the recipe")


def _make(make: Any, values: Mapping[str, Any], where: str) -> Any:
    """Calls `make` with lists as tuples; what it says is put after the section's name."""
    try:
        return make(**{name: _frozen(value) for name, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}".replace("__init__() ", "")) from error


def _sources(*, contacts: Any = None, **files: Any) -> Sources:
    return Sources(contacts=_make(ContactSources, contacts, "contacts") if contacts else None, **files)


def _network(**sizes: Any) -> ModelConfig:
    return ModelConfig(organisms=1, **sizes)


def _schedule(*, stages: Any, weights: Any = None, sampling: Any = None, **values: Any) -> Schedule:
    schedule = Schedule(
        stages=tuple(_make(_stage, stage, "stages") for stage in stages),
        weights=_make(_weights, weights or {}, "weights"),
        sampling=_make(Sampling, sampling or {}, "sampling"),
        **values,
    )
    if not isinstance(schedule.kept, Mapping):
        raise ValueError("kept is a table of shares by name, { student-1 = 0.3 }")
    if not isinstance(schedule.taught_by, tuple):
        raise ValueError('taught_by is a list of names, ["student-1"]')
    kept = schedule.kept.values()
    if schedule.runs < 1 or any(share <= 0 for share in kept) or sum(kept) >= 1:
        raise ValueError("runs is at least 1, and shares of kept are above 0 and sum to less than 1")
    at_mistakes = any(schedule.sampling_of(stage).mistakes for stage in schedule.stages)
    if at_mistakes and not any(stage.find_mistakes for stage in schedule.stages):
        raise ValueError("sampling has a share of mistakes, and no stage has find_mistakes")
    for stage in schedule.stages:
        if stage.window_bp % PAIR_BIN_BP:
            raise ValueError(f"window_bp {stage.window_bp} is not a multiple of {PAIR_BIN_BP}")
        if stage.teacher_bp and (stage.teacher_bp % PAIR_BIN_BP or stage.window_bp % stage.teacher_bp):
            raise ValueError(
                f"teacher_bp {stage.teacher_bp} is not a multiple of {PAIR_BIN_BP} that divides "
                f"window_bp {stage.window_bp}"
            )
    return schedule


def _stage(*, sampling: Any = None, **values: Any) -> Stage:
    made = None if sampling is None else _make(Sampling, sampling, "sampling")
    return Stage(sampling=made, **values)


def _weights(*, tracks: Any = None, **values: float) -> Weights:
    known = {Output(name): weight for name, weight in (tracks or {}).items()}
    return Weights(tracks=Weights().tracks | known, **values)


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
