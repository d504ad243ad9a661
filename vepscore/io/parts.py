"""The shards of one run, described by the headers of their outputs."""

import dataclasses
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from vepscore.errors import InputError
from vepscore.io.run_metadata import ShardRecords, header_key

SHARD_KEY = header_key("shard")  # of the line that makes an output a part
_SHOWN_PARTS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
    """The output of one shard."""

    path: Path
    shard: ShardRecords
    header: tuple[str, ...]  # the lines that all parts have in common

    @property
    def records(self) -> range:
        """The records of the input that it has."""
        return range(self.shard.start, self.shard.end)

    @classmethod
    def parse(cls, path: Path, lines: Iterable[str]) -> Self:
        """Return the part whose header has these lines, `##key=value`.

        Raises:
            InputError: none of them, or several, say which shard it is.
        """
        prefix = f"##{SHARD_KEY}="
        own = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
        shard = ShardRecords.parse(own[0]) if len(own) == 1 else None
        if shard is None:
            raise InputError(f"{path}\nis no shard: expected an output of `vepscore score --shard I/N`")
        return cls(
            path=path,
            shard=shard,
            header=tuple(line for line in lines if not line.startswith(prefix)),
        )


def in_order(parts: Sequence[Part]) -> list[Part]:
    """Return the parts in the order of their shards.

    Raises:
        InputError: they are not all shards of one run, each once.
    """
    first = parts[0]
    total = first.shard.total
    for part in parts[1:]:
        _check_same_run(first, part)
    by_number: dict[int, list[Part]] = {}
    for part in parts:
        by_number.setdefault(part.shard.number, []).append(part)
    problems = [
        f"shard {number}/{total} is there {len(same)} times: {', '.join(str(part.path) for part in same)}"
        for number, same in sorted(by_number.items())
        if len(same) > 1
    ]
    absent = (str(number) for number in range(1, total + 1) if number not in by_number)
    missing = list(itertools.islice(absent, _SHOWN_PARTS + 1))
    if missing:
        shown = ", ".join(missing[:_SHOWN_PARTS]) + (" …" if len(missing) > _SHOWN_PARTS else "")
        problems.append(f"missing of {total} shards: {shown}")
    if problems:
        raise InputError("\n".join(["the parts do not make up one run", *problems]))
    return [by_number[number][0] for number in sorted(by_number)]


def _check_same_run(first: Part, part: Part) -> None:
    differences = [
        f"{name}: {theirs} in the first, {own} in this one"
        for name, theirs, own in (
            ("shards", first.shard.total, part.shard.total),
            ("sha256 of the input", first.shard.input_digest, part.shard.input_digest),
        )
        if theirs != own
    ]
    differences += [f"only in the first: {line}" for line in first.header if line not in part.header]
    differences += [f"only in this one: {line}" for line in part.header if line not in first.header]
    if differences:
        raise InputError(
            "\n".join([f"{part.path}\nis of another run than {first.path}", *differences[:_SHOWN_PARTS]])
        )


def check_count(part: Part, found: int, expected: int) -> None:
    """Raise InputError if a part does not have as many records as expected."""
    if found != expected:
        raise InputError(
            f"{part.path}\nhas {found} records, expected {expected}", hint="score this shard again"
        )


def foreign_row(part: Part, record: object) -> InputError:
    """Return the error about a row that belongs to another part."""
    expected = f"records {part.records.start} to {part.records.stop - 1}"
    return InputError(
        f"{part.path}\nhas a row of record {record}, expected {expected}", hint="score this shard again"
    )
