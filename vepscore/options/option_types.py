"""The types of option values: enumerations, and values that are written as text on the command line."""

import dataclasses
import enum
import re
from typing import ClassVar, Self

from vepscore.errors import UsageError

AUTO = "auto"  # on the command line: the default of the checkpoint


class Organism(enum.StrEnum):
    """The organism whose tracks are predicted."""

    HUMAN = "human"
    MOUSE = "mouse"


class Precision(enum.StrEnum):
    """The data type of the network's parameters."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Rotary(enum.StrEnum):
    """The data type of the rotary tables."""

    AUTO = "auto"  # the one that the checkpoint was made with
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Strand(enum.StrEnum):
    """The strand of the sequence that the network gets; "+" and "-" are accepted too."""

    PLUS = "plus"
    MINUS = "minus"

    @property
    def sign(self) -> str:
        """Return "+" or "-"."""
        return "+" if self is Strand.PLUS else "-"

    @classmethod
    def _missing_(cls, value: object) -> "Strand | None":
        return {"+": cls.PLUS, "-": cls.MINUS}.get(str(value))


class Device(enum.StrEnum):
    """The kind of device that runs the network."""

    AUTO = "auto"  # the best there is
    CPU = "cpu"
    GPU = "gpu"
    TPU = "tpu"


class EngineKind(enum.StrEnum):
    """How much of a window is computed."""

    SPARSE = "sparse"
    DENSE = "dense"


class Parallelism(enum.StrEnum):
    """What several devices divide among them."""

    DATA = "data"  # windows
    SEQUENCE = "sequence"  # the positions of each window


class MismatchPolicy(enum.StrEnum):
    """What to do if REF differs from the reference genome."""

    SKIP = "skip"  # status REF_MISMATCH
    SUBSTITUTE = "substitute"  # write REF over the sequence, as the official code does
    ERROR = "error"  # end the run


@dataclasses.dataclass(frozen=True)
class Shard:
    """One of several parts of an input."""

    number: int  # 1-based
    total: int

    _TEXT: ClassVar[re.Pattern[str]] = re.compile(r"(\d+)/(\d+)")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a shard written as "I/N".

        Raises:
            UsageError: the text has another form, or there is no such part.
        """
        match = cls._TEXT.fullmatch(text)
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(
                f"--shard {text}\nexpected I/N, with I from 1 to N", hint="the second of four: 2/4"
            )
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"


def parse_window(text: str) -> int | None:
    """Return the width of a window in bp; None for "auto".

    Raises:
        UsageError: there is no window of that width.
    """
    from vepscore.genome.windows import parse_width

    return None if text == AUTO else parse_width(text)
