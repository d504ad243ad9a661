"""Recipes: TOML files that define a training run, with its data, network, teachers and students."""

import dataclasses
import logging
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from vepscore.errors import TrainingError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.text_file import ENCODING
from vepscore.networks.alphagenome.config import MIN_WINDOW_BP, ModelConfig
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP
from vepscore.schema import CLOSED, Whole, field_error, parse
from vepscore.train.schedule import LabelSchedule, Names, Schedule, Text
from vepscore.train.splicing.splicing_recipe import Splicing

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Names of the files in the data directory, and the chromosomes that are held out."""

    __pydantic_config__ = CLOSED

    sequence: Names  # FASTA files; a contig `chrom:start-end` (1-based, inclusive) is a slice of `chrom`
    genes: Text  # GTF
    tracks: Text  # .npz with coverage in bins of 32 bp; .regions.tsv and .tracks.tsv are read from beside it
    test: tuple[Text, ...]  # chromosomes that no network is trained on
    folds: tuple[Names, ...] = ()  # chromosomes that each teacher excludes as well
    # Files of contact maps; the keys are those of their reader, see `training_data.read_data`.
    contacts: Mapping[str, Text] = dataclasses.field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """Names of all files."""
        return [*self.sequence, self.genes, self.tracks, *self.contacts.values()]


def _of_one_organism(sizes: object) -> object:
    """Return the sizes of a network, complete but for the heads, which depend on the data."""
    if not isinstance(sizes, dict):
        return sizes
    if given := sorted({"organisms", "heads"} & sizes.keys()):
        raise ValueError(f"{given[0]}: comes from the data")
    return sizes | {"organisms": 1}


_Network = Annotated[ModelConfig, BeforeValidator(_of_one_organism)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Options with which the checkpoint is used if a command does not give them."""

    __pydantic_config__ = CLOSED

    window_bp: Annotated[int, Whole(MIN_WINDOW_BP, MAX_WINDOW_BP, step=PAIR_BIN_BP)] = MAX_WINDOW_BP
    indel_anchor: IndelAnchor = IndelAnchor.BOTH
    scorers: Names | None = None  # None: every scorer that can run


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CommonRecipe:
    """A training run: what every recipe has."""

    __pydantic_config__ = CLOSED

    name: Text  # of the checkpoint
    license: Text  # SPDX identifier
    seed: Annotated[int, Whole(0, 2**63 - 1)]
    data: Sources
    # Not in `repr`, from which a training's hash is computed: they do not affect that of teachers and students.
    defaults: Defaults = dataclasses.field(default=Defaults(), repr=False)
    splicing: Splicing | None = dataclasses.field(
        default=None, repr=False
    )  # a network of its own for splicing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplicingRecipe(CommonRecipe):
    """The training of splicing alone, which a finished student joins."""

    splicing: Splicing = dataclasses.field(repr=False)

    def shortened(self, fraction: float) -> "SplicingRecipe":
        """Return the recipe with a fraction of the steps."""
        return dataclasses.replace(self, splicing=self.splicing.shortened(fraction))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Recipe(CommonRecipe):
    """The training of teachers and students, and of splicing if it has the table."""

    network: _Network  # without heads, which depend on the data
    teachers: LabelSchedule  # trained on labels, one per fold
    # Trained on predictions of the teachers, one after the other.
    student: Annotated[tuple[Schedule, ...], Field(min_length=1)]

    def __post_init__(self) -> None:
        if not self.data.folds:
            raise field_error("data.folds", self.data.folds, "at least one")
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
            splicing=self.splicing and self.splicing.shortened(fraction),
        )


def read_recipe(path: Path) -> Recipe | SplicingRecipe:
    """Read a recipe; one of splicing alone has no table of other networks.

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
    alone = "splicing" in values and values.keys().isdisjoint({"network", "teachers", "student"})
    try:
        return parse(SplicingRecipe, values) if alone else parse(Recipe, values)
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
