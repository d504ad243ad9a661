"""What a run was made with, as typed values. Outputs carry it as text in their header; only this module reads it back.

A field of `RunMetadata` has its key in the header and how it is written and read there; a key that is missing stands
for the field's default.
"""

import contextlib
import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

from vepscore.contract import EntryForm
from vepscore.errors import UsageError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.windows import parse_width
from vepscore.paths import escape_bytes

ON_REQUEST = "no default of this checkpoint; -s NAME or -s all runs them"
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


def _fact(
    key: str,
    default: Any = None,
    *,
    write: Callable[[Any], str] = str,
    read: Callable[[str], Any] = str,
) -> Any:
    """Return a field with its key in a header; `read` raises ValueError or UsageError if the text says nothing."""
    return dataclasses.field(
        default=default, metadata={"key": f"vepscore{key}", "write": write, "read": read}
    )


def _list_versions(text: str) -> tuple[tuple[str, str], ...]:
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
    window_bp: int | None = _fact(
        "Window", write="{} bp".format, read=lambda text: parse_width(text.removesuffix(" bp"))
    )
    align_bp: int = _fact("Align", 1, write="{} bp".format, read=lambda text: int(text.removesuffix(" bp")))
    strand: str = _fact("Strand", "+")  # "+" or "-": the strand that the network got
    on_ref_mismatch: str = _fact("OnRefMismatch", "")
    as_written: bool = _fact(
        "Alleles",
        False,
        write=lambda as_written: _AS_WRITTEN if as_written else _NORMALIZED,
        read=_AS_WRITTEN.__eq__,
    )
    # Early versions anchored to the left, and did not write it.
    indel_anchor: IndelAnchor = _fact("IndelAnchor", IndelAnchor.LEFT, read=IndelAnchor)
    precision: str = _fact("Precision", "")
    rotary: str = _fact("Rotary", "")
    engine: str = _fact("Engine", "")
    scorers: tuple[str, ...] = _fact("Scorers", (), write=",".join, read=lambda text: tuple(text.split(",")))
    scorers_not_run: tuple[str, ...] = _fact(
        "ScorersNotRun",
        (),
        write=lambda names: f"{','.join(names)} ({ON_REQUEST})",
        read=lambda text: tuple(text.partition(" (")[0].split(",")),
    )
    delta_scores: str = _fact("DeltaScores", "")  # how a network's own scorers make them
    entry_form: EntryForm | None = _fact("EntryForm", read=EntryForm.parse)  # of their program's entries
    use: str = _fact("Use", "research; not for clinical use")
    terms: str = _fact("Terms", "")
    quantiles: NamedFile | None = _fact("Quantiles", read=NamedFile.parse)
    shard: ShardRecords | None = _fact("Shard", read=ShardRecords.parse)
    background: NamedFile | None = _fact("Input", read=NamedFile.parse)  # the variants that quantiles are of
    versions: tuple[tuple[str, str], ...] = _fact(
        "Versions", (), write=lambda versions: ", ".join(map(" ".join, versions)), read=_list_versions
    )

    def to_header(self) -> dict[str, str]:
        """Return the text of each field by its key, in the order in which headers have them."""
        values = {field: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {
            field.metadata["key"]: field.metadata["write"](value)
            for field, value in values.items()
            if value not in (None, "", ())
        }

    def text_of(self, name: str) -> str:
        """Return how a header tells a field; "none" if it does not."""
        return self.to_header().get(header_key(name), "none")

    @classmethod
    def from_header(cls, header: Mapping[str, str]) -> Self:
        """Return what a header tells, by its keys. Text that says nothing is passed over."""
        values = {}
        for field in dataclasses.fields(cls):
            with contextlib.suppress(KeyError, ValueError, UsageError):
                values[field.name] = field.metadata["read"](header[field.metadata["key"]])
        return cls(**values)


def header_key(name: str) -> str:
    """Return the key in a header of a field of `RunMetadata`."""
    keys: dict[str, str] = {field.name: field.metadata["key"] for field in dataclasses.fields(RunMetadata)}
    return keys[name]
