"""How options are declared, and what follows from their declarations."""

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, get_args

from vepscore.errors import UsageError

REQUIRED: Any = dataclasses.MISSING
_KEY = "option"  # in a field's metadata


class Former(NamedTuple):
    """The name that an option had in an earlier version, and what its values were called."""

    flag: str
    values: Mapping[str, str]  # former → present


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionSpec:
    """What is declared about an option beside its type and default."""

    flags: tuple[str, ...]  # the long one comes last
    help: str
    panel: str | None  # of the help; None: its first
    affects_scores: bool
    recorded_as: str = (
        ""  # field of `RunMetadata` or `SessionInfo` that records its effect; "": the option itself
    )
    metavar: str | None = None
    minimum: int | None = None
    parse: Callable[[str], Any] | None = None  # from text; None: as the type says
    command_default: Any = None  # the default on the command line, if it is not the field's own
    shows_default: bool = False  # the help shows the default
    former: Former | None = None


def option(default: Any, help: str, *flags: str, **details: Any) -> Any:
    """Declare an option as the field of a group.

    Args:
        default: REQUIRED if there is none.
        help: what it does, then its default.
        *flags: its names on the command line, if they are not just the field's name; the long one comes last.
        **details: other fields of `OptionSpec`.
    """
    return dataclasses.field(default=default, metadata={_KEY: {"help": help, "flags": flags, **details}})


class Declared(NamedTuple):
    """An option of a group."""

    name: str  # of the field, and of the parameter
    type: Any
    default: Any  # REQUIRED if there is none
    spec: OptionSpec

    def read(self, value: Any) -> Any:
        """Return the value in the option's type: text is parsed, and a list becomes a tuple.

        Raises:
            UsageError: the option has no such value.
        """
        least = self.spec.minimum
        if least is not None and isinstance(value, int) and value < least:
            raise UsageError(f"{self.spec.flags[-1]} {value}\nexpected at least {least}")
        if not isinstance(value, str):
            return tuple(value) if isinstance(value, list) else value
        if self.spec.parse is not None:
            return self.spec.parse(value)
        kinds = (self.type, *get_args(self.type))
        for kind in kinds:
            if isinstance(kind, enum.EnumMeta):
                return self._member(kind, value)
        return Path(value) if Path in kinds else value

    def _member(self, kind: enum.EnumMeta, value: str) -> Any:
        try:
            return kind(value)
        except ValueError as error:
            expected = ", ".join(map(str, kind))
            raise UsageError(f"{self.spec.flags[-1]} {value}\nexpected one of {expected}") from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Options that are declared together."""

    panel: ClassVar[str | None] = None  # of the help; None: its first
    # Whether another value may give other scores. Runs that differ only in options that do not affect scores record
    # the same command and may continue one another.
    affects_scores: ClassVar[bool] = True

    @classmethod
    def declared(cls) -> Iterator[Declared]:
        """Yield the options of the group in their order."""
        for field in dataclasses.fields(cls):
            details = {"panel": cls.panel, "affects_scores": cls.affects_scores, **field.metadata[_KEY]}
            if not any(flag.startswith("--") for flag in details["flags"]):
                details["flags"] = (*details["flags"], f"--{field.name.replace('_', '-')}")
            yield Declared(field.name, field.type, field.default, OptionSpec(**details))

    @classmethod
    def build(cls, values: Mapping[str, Any]) -> Self:
        """Return the group with these values, by the names of its options; the others keep their defaults.

        Raises:
            UsageError: an option does not have such a value.
        """
        return cls(**cls._checked(values))

    def changed(self, **values: Any) -> Self:
        """Return the group with other values; see `build`."""
        return dataclasses.replace(self, **self._checked(values))

    @classmethod
    def _checked(cls, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values in the types of their options."""
        declared = {option.name: option for option in cls.declared()}
        return {
            name: declared[name].read(value) if name in declared else value for name, value in values.items()
        }

    def score_settings(self) -> dict[str, str]:
        """Return the values that affect scores and that no metadata tell, by option."""
        return {
            name: str(getattr(self, name))
            for name, _, _, spec in self.declared()
            if spec.affects_scores and not spec.recorded_as
        }


def record_command(words: Sequence[str], groups: Sequence[type[OptionGroup]]) -> list[str]:
    """Return a command without the options that do not affect scores.

    Args:
        words: the command line.
        groups: those whose options it may have.
    """
    silent = [
        declared for group in groups for declared in group.declared() if not declared.spec.affects_scores
    ]
    flags = {
        flag for one in silent if one.type is bool for name in one.spec.flags for flag in name.split("/")
    }
    takers = {flag for one in silent if one.type is not bool for flag in one.spec.flags}
    attached = tuple(flag if len(flag) == 2 else f"{flag}=" for flag in takers)
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word in takers:
            next(rest, None)
        elif word not in flags and not word.startswith(attached):
            kept.append(word)
    return kept
