"""What a run was made with, as typed values. Outputs carry it as text in their header; only this module reads it back.

A field of `RunMetadata` has its key in the header and how it is written and read there; a key that is missing stands
for the field's default.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from vepscore.errors import UsageError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.windows import parse_width
from vepscore.paths import escape_bytes

ON_REQUEST = "no default of this checkpoint; -s NAME or -s all runs them"
_PREFIX = "vepscore"
_AS_WRITTEN, _NORMALIZED = "as written", "normalised"
_NUMBER = r"(\d{1,15})"
_SHARD = re.compile(
    rf"{_NUMBER}/{_NUMBER} records {_NUMBER} to {_NUMBER} of sha256:([0-9a-f]{{64}})", re.ASCII
)


class NamedFile(NamedTuple):
    """A file, or a checkpoint, by its name and the sha256 of its content."""

    name: str
    digest: str  # hex

    def __str__(self) -> str:
        return f"{escape_bytes(self.name)} sha256:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the file that such text names; None for other text."""
        name, separator, digest = text.rpartition(" sha256:")
        return cls(name, digest) if separator else None


class ShardRecords(NamedTuple):
    """The part of an input that one shard has."""

    number: int  # 1-based
    total: int  # of all shards
    start: int  # its first record, 0-based
    end: int  # exclusive
    input_digest: str  # sha256 of the input, hex

    def __str__(self) -> str:
        records = f"records {self.start} to {self.end}"
        return f"{self.number}/{self.total} {records} of sha256:{self.input_digest}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the part that such text names; None for other text."""
        match = _SHARD.fullmatch(text)
        if match is None:
            return None
        number, total, start, end = map(int, match.groups()[:4])
        return cls(number, total, start, end, match[5]) if 1 <= number <= total and start <= end else None


class _Fact(NamedTuple):
    """How a field is written in a header."""

    key: str
    write: Callable[[Any], str]
    read: Callable[[str], Any]  # ValueError or UsageError: the text says nothing


def _fact(
    key: str,
    default: Any = None,
    *,
    write: Callable[[Any], str] = str,
    read: Callable[[str], Any] = str,
) -> Any:
    return dataclasses.field(default=default, metadata={"fact": _Fact(_PREFIX + key, write, read)})


def _write_bp(width: int) -> str:
    return f"{width} bp"


def _read_bp(text: str) -> int:
    return int(text.removesuffix(" bp"))


def _read_window(text: str) -> int:
    return parse_width(text.removesuffix(" bp"))


def _write_not_run(names: tuple[str, ...]) -> str:
    return f"{','.join(names)} ({ON_REQUEST})"


def _read_not_run(text: str) -> tuple[str, ...]:
    return tuple(text.partition(" (")[0].split(","))


def _write_versions(versions: tuple[tuple[str, str], ...]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions)


def _read_versions(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, version) for name, _, version in (part.partition(" ") for part in text.split(", ")))


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunMetadata:
    """What a run was made with. None, "" and () are not written."""

    version: str = _fact("Version", "")
    command: str = _fact("Command", "", write=escape_bytes)  # without what affects no score
    checkpoint: NamedFile | None = _fact("Checkpoint", read=NamedFile.parse)
    reference: NamedFile | None = _fact("Reference", read=NamedFile.parse)
    annotation: NamedFile | None = _fact("Annotation", read=NamedFile.parse)
    polya: NamedFile | None = _fact("PolyA", read=NamedFile.parse)
    organism: str = _fact("Organism", "")
    window_bp: int | None = _fact("Window", write=_write_bp, read=_read_window)
    align_bp: int = _fact("Align", 1, write=_write_bp, read=_read_bp)
    strand: str = _fact("Strand", "+")  # "+" or "-": the strand that the network got
    on_ref_mismatch: str = _fact("OnRefMismatch", "")
    as_written: bool = _fact(
        "Alleles",
        False,
        write=lambda as_written: _AS_WRITTEN if as_written else _NORMALIZED,
        read=_AS_WRITTEN.__eq__,
    )
    indel_anchor: IndelAnchor = _fact(
        "IndelAnchor", IndelAnchor.LEFT, read=IndelAnchor
    )  # none: an early version
    precision: str = _fact("Precision", "")
    rotary: str = _fact("Rotary", "")
    engine: str = _fact("Engine", "")
    scorers: tuple[str, ...] = _fact("Scorers", (), write=",".join, read=lambda text: tuple(text.split(",")))
    scorers_not_run: tuple[str, ...] = _fact("ScorersNotRun", (), write=_write_not_run, read=_read_not_run)
    use: str = _fact("Use", "research; not for clinical use")
    terms: str = _fact("Terms", "")
    quantiles: NamedFile | None = _fact("Quantiles", read=NamedFile.parse)
    shard: ShardRecords | None = _fact("Shard", read=ShardRecords.parse)
    background: NamedFile | None = _fact("Input", read=NamedFile.parse)  # the variants that quantiles are of
    versions: tuple[tuple[str, str], ...] = _fact("Versions", (), write=_write_versions, read=_read_versions)

    def to_header(self) -> dict[str, str]:
        """Return the text of each field by its key, in the order in which headers have them."""
        values = {_fact_of(field): getattr(self, field.name) for field in dataclasses.fields(self)}
        return {fact.key: fact.write(value) for fact, value in values.items() if value not in (None, "", ())}

    def text_of(self, name: str) -> str:
        """Return how a header tells a field; "none" if it does not."""
        return self.to_header().get(header_key(name), "none")

    @classmethod
    def from_header(cls, header: Mapping[str, str]) -> Self:
        """Return what a header tells, by its keys. Text that says nothing is passed over."""
        values = {}
        for field in dataclasses.fields(cls):
            fact = _fact_of(field)
            try:
                value = fact.read(header[fact.key])
            except (KeyError, ValueError, UsageError):
                continue
            values[field.name] = value
        return cls(**values)


def header_key(name: str) -> str:
    """Return the key in a header of a field of `RunMetadata`."""
    (field,) = (field for field in dataclasses.fields(RunMetadata) if field.name == name)
    return _fact_of(field).key


def _fact_of(field: "dataclasses.Field[Any]") -> _Fact:
    fact: _Fact = field.metadata["fact"]
    return fact
