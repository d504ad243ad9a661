"""Validate the values of a TOML or JSON file against the annotations of a dataclass, with pydantic.

The dataclass has `__pydantic_config__ = CLOSED`, which refuses unknown fields. `Whole(1, 9)` annotates an int with its
range, `Number(above=0)` a float with its range, and `expected(WORDS)` any type with the words of its error.
"""

import dataclasses
import json
import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, GetCoreSchemaHandler, TypeAdapter, ValidationError, WrapValidator

CLOSED = ConfigDict(extra="forbid")

_TABLE = "a table of named fields"
_EXPECTED = {
    "bool_type": "true or false",
    "dataclass_type": _TABLE,
    "dict_type": _TABLE,
    "string_too_short": "text",
    "string_type": "text",
    "too_short": "at least one",
    "tuple_type": "a list",
}
_LIMITS = {"least": "not below", "above": "above", "most": "not above", "below": "below"}
_LONGEST_VALUE = 60

T = TypeVar("T")


class _Unexpected(ValueError):
    """A value does not have the type or is out of the range that the message names."""


def expected(words: str) -> WrapValidator:
    """Return an annotation whose error says that `words` were expected."""

    def validate(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise _Unexpected(words) from error

    return WrapValidator(validate)


@dataclasses.dataclass(frozen=True)
class Whole:
    """Annotation of a whole number from `least` to `most`, a multiple of `step`; true and 1.0 are refused."""

    least: int
    most: int
    step: int = 1

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        limits = Field(strict=True, ge=self.least, le=self.most, multiple_of=self.step)
        kind = "a whole number" if self.step == 1 else f"a multiple of {self.step}"
        words = expected(f"{kind} from {self.least} to {self.most}")
        return handler.generate_schema(Annotated[int, limits, words])


@dataclasses.dataclass(frozen=True)
class Number:
    """Annotation of a finite number within the given limits; true is refused."""

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        limits = Field(
            strict=True, ge=self.least, gt=self.above, le=self.most, lt=self.below, allow_inf_nan=False
        )
        given = {name: value for name, value in dataclasses.asdict(self).items() if math.isfinite(value)}
        words = " and ".join(f"{_LIMITS[name]} {value:g}" for name, value in given.items())
        return handler.generate_schema(Annotated[float, limits, expected(f"a number {words}".strip())])


def parse(kind: type[T], values: object, *, at: str = "") -> T:
    """Return an instance of the dataclass `kind` with the values of a file.

    Args:
        kind: a dataclass; a `ValueError` of its `__post_init__` is reported too.
        values: the content of the file or of one of its tables.
        at: path of that table in the file.

    Raises:
        ValueError: some values are invalid; one line for each, `path: found VALUE, expected WORDS`.
    """
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        problems = [_describe(problem, at) for problem in error.errors(include_url=False) if _is_own(problem)]
        raise ValueError("\n".join(problems)) from error


def field_error(field: str, found: object, words: str) -> ValueError:
    """Return the error of a check that involves several fields, in the format of `parse`."""
    return ValueError(f"{field}: found {_show(found)}, expected {words}")


def _is_own(problem: Mapping[str, Any]) -> bool:
    """Return False for a list that is too short only because its items are invalid: those are reported instead."""
    return problem["type"] != "too_short" or not problem["input"]


def _describe(problem: Mapping[str, Any], at: str) -> str:
    kind, found, loc = problem["type"], problem["input"], problem["loc"]
    error = problem.get("ctx", {}).get("error")
    is_key = loc[-1:] == ("[key]",)
    path = _path(at, loc[: -2 if is_key else None])
    if kind == "value_error" and not isinstance(error, _Unexpected):  # names the field
        return ".".join(filter(None, [path, str(error)]))
    path = path or "the file"
    if kind == "missing":
        return f"{path}: missing"
    if kind == "unexpected_keyword_argument":
        return f"{path}: unknown field"
    words = str(error or _EXPECTED.get(kind) or problem["msg"].removeprefix("Input should be "))
    found = f"unknown name {found!r}" if is_key else f"found {_show(found)}"
    return f"{path}: {found}, expected {words}"


def _path(at: str, loc: tuple[int | str, ...]) -> str:
    steps = [f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in loc]
    return f"{at}{''.join(steps)}".removeprefix(".")


def _name(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name) else json.dumps(name)


def _show(value: object) -> str:
    """Return a scalar as JSON, shortened if it is long; for other values, their kind."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"
