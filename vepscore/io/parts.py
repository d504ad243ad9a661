"""Shards of one run, by what their outputs say of themselves."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from vepscore.errors import InputError

SHARD_KEY = "vepscoreShard"  # of the fact that makes an output a part
_NUMBER = r"(\d{1,15})"
_SHARD = re.compile(
    rf"{_NUMBER}/{_NUMBER} records {_NUMBER} to {_NUMBER} of sha256:([0-9a-f]{{64}})", re.ASCII
)
_SHOWN_PARTS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """One shard's output."""

    path: Path
    number: int  # 1-based
    count: int  # of all shards
    records: range  # of the input
    input_digest: str  # sha256 of the input
    facts: tuple[str, ...]  # header lines, which all parts have in common

    @classmethod
    def parse(cls, path: Path, lines: Iterable[str]) -> Self:
        """A part by its header lines, `##key=value`.

        Raises:
            InputError: none of them says which shard it is.
        """
        prefix = f"##{SHARD_KEY}="
        own = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
        match = _SHARD.fullmatch(own[0]) if len(own) == 1 else None
        number, count, first, end = map(int, match.groups()[:4]) if match else (0, 0, 0, 0)
        if not (1 <= number <= count and first <= end):
            raise InputError(f"{path}\nis no shard: expected an output of `vepscore score --shard I/N`")
        return cls(
            path=path,
            number=number,
            count=count,
            records=range(first, end),
            input_digest=match[5],
            facts=tuple(line for line in lines if not line.startswith(prefix)),
        )


def in_order(parts: Sequence[Part]) -> list[Part]:
    """The parts by their number.

    Raises:
        InputError: they are not all shards of one run, each once.
    """
    first = parts[0]
    for part in parts[1:]:
        _check_same_run(first, part)
    by_number: dict[int, list[Part]] = {}
    for part in parts:
        by_number.setdefault(part.number, []).append(part)
    problems = [
        f"shard {number}/{first.count} is there {len(same)} times: {', '.join(str(part.path) for part in same)}"
        for number, same in sorted(by_number.items())
        if len(same) > 1
    ]
    absent = (str(number) for number in range(1, first.count + 1) if number not in by_number)
    missing = list(itertools.islice(absent, _SHOWN_PARTS + 1))
    if missing:
        shown = ", ".join(missing[:_SHOWN_PARTS]) + (" …" if len(missing) > _SHOWN_PARTS else "")
        problems.append(f"missing of {first.count} shards: {shown}")
    if problems:
        raise InputError("\n".join(["the parts do not make up one run", *problems]))
    return [by_number[number][0] for number in sorted(by_number)]


def _check_same_run(first: Part, part: Part) -> None:
    differences = [
        f"{name}: {theirs} in the first, {own} in this one"
        for name, theirs, own in (
            ("shards", first.count, part.count),
            ("sha256 of the input", first.input_digest, part.input_digest),
        )
        if theirs != own
    ]
    differences += [f"only in the first: {line}" for line in first.facts if line not in part.facts]
    differences += [f"only in this one: {line}" for line in part.facts if line not in first.facts]
    if differences:
        raise InputError(
            "\n".join([f"{part.path}\nis of another run than {first.path}", *differences[:_SHOWN_PARTS]])
        )


def check_count(part: Part, found: int, expected: int) -> None:
    if found != expected:
        raise InputError(
            f"{part.path}\nhas {found} records, expected {expected}", hint="score this shard again"
        )


def foreign_row(part: Part, record: object) -> InputError:
    expected = f"records {part.records.start} to {part.records.stop - 1}"
    return InputError(
        f"{part.path}\nhas a row of record {record}, expected {expected}", hint="score this shard again"
    )
