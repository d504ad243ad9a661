"""The options of the commands and of the Python API, each declared once.

A group is a frozen dataclass. Each of its fields is made by `option`, which says what the command line calls it, what
it does, and whether it affects scores. From these declarations follow the parameters of the commands
(`vepscore.cli.option_groups`), the command that outputs record, and the key of the journal. A new option needs a field
here, and the code that uses it.

Nothing heavy is imported here: `vepscore --help` reads this module.
"""

import dataclasses
import enum
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, get_args

from vepscore.errors import UsageError
from vepscore.genome.indel_anchor import IndelAnchor

ALL_SCORERS = "all"  # in `ScorerOptions.scorers`: every scorer that can run
AUTO = "auto"  # as a value on the command line: the default of the checkpoint
REQUIRED: Any = dataclasses.MISSING

DATA, MODEL, RUN, SCALE = "Data", "Model", "Run", "Many jobs"  # panels of the help

_KEY = "option"  # in a field's metadata


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


class Former(NamedTuple):
    """The name that an option had in an earlier version, and what its values were called."""

    flag: str
    values: Mapping[str, str]  # former → present


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionSpec:
    """What is declared about an option beside its type and default."""

    flags: tuple[str, ...]  # the long one comes last
    help: str
    panel: str
    affects_scores: bool
    told_by: str = (
        ""  # the field of `RunMetadata` or `SessionInfo` that tells its effect; "": none, so its value does
    )
    metavar: str | None = None
    minimum: int | None = None
    parse: Callable[[str], Any] | None = None  # from text; None: as the type says
    default_text: str | None = None  # the default on the command line, if it is not the field's own
    shows_default: bool = False  # the help shows the default
    former: Former | None = None


def option(
    default: Any,
    *flags: str,
    help: str,
    panel: str,
    affects_scores: bool,
    told_by: str = "",
    **details: Any,
) -> Any:
    """Declare an option as the field of a group.

    Args:
        default: REQUIRED if there is none.
        *flags: its names on the command line, the long one last.
        help: what it does, then its default.
        panel: the panel of the help that lists it.
        affects_scores: whether another value may give other scores. Runs that differ only in options that do not
            affect scores record the same command and may continue one another.
        told_by: the field of `RunMetadata` or `SessionInfo` that tells its effect, for an option that affects scores.
        **details: other fields of `OptionSpec`.
    """
    spec = OptionSpec(
        flags=flags, help=help, panel=panel, affects_scores=affects_scores, told_by=told_by, **details
    )
    return dataclasses.field(default=default, metadata={_KEY: spec})


class Declared(NamedTuple):
    """An option of a group."""

    name: str  # of the field, and of the parameter
    type: Any
    default: Any  # REQUIRED if there is none
    spec: OptionSpec

    def read(self, value: Any) -> Any:
        """Return the value; text becomes the member of an enumeration if that is the option's type.

        Raises:
            UsageError: there is no such member.
        """
        kinds = [kind for kind in (self.type, *get_args(self.type)) if isinstance(kind, enum.EnumMeta)]
        if not kinds or not isinstance(value, str):
            return value
        try:
            return kinds[0](value)
        except ValueError as error:
            expected = ", ".join(str(member.value) for member in kinds[0])
            raise UsageError(f"{self.spec.flags[-1]} {value}\nexpected one of {expected}") from error


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Options that are declared together."""

    @classmethod
    def declared(cls) -> Iterator[Declared]:
        """Yield the options of the group in their order."""
        for field in dataclasses.fields(cls):
            yield Declared(field.name, field.type, field.default, field.metadata[_KEY])

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
        """Return the values; text becomes the member of an enumeration where that is the option's type."""
        declared = {option.name: option for option in cls.declared()}
        return {
            name: declared[name].read(value) if name in declared else value for name, value in values.items()
        }

    def score_settings(self) -> dict[str, str]:
        """Return the values that affect scores and that no metadata tell, by option."""
        return {
            name: str(getattr(self, name))
            for name, _, _, spec in self.declared()
            if spec.affects_scores and not spec.told_by
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenomeOptions(OptionGroup):
    """The genome and its annotation."""

    reference: Path = option(
        REQUIRED,
        "-r",
        "--reference",
        help="Reference FASTA, uncompressed or bgzipped. An index is built if missing.",
        panel=DATA,
        affects_scores=True,
        told_by="reference",
    )
    genes: Path | None = option(
        None,
        "-g",
        "--genes",
        help="Gene annotation: GENCODE, Ensembl or RefSeq GTF, plain or gzipped.",
        panel=DATA,
        affects_scores=True,
        told_by="annotation",
    )
    polya: Path | None = option(
        None,
        "--polya",
        help="Poly(A) sites as TSV with the columns gene_id, chrom, start (0-based) and strand.",
        panel=DATA,
        affects_scores=True,
        told_by="polya",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions(OptionGroup):
    """The network."""

    checkpoint: str | None = option(
        None,
        "-c",
        "--checkpoint",
        help="Checkpoint: a name from `vepscore weights list`, or a directory. Default: the embedded one.",
        panel=MODEL,
        affects_scores=True,
        told_by="checkpoint",
    )
    metadata: Path | None = option(
        None,
        "--metadata",
        help="Track metadata (textproto); needed only for a checkpoint in the official layout.",
        panel=MODEL,
        affects_scores=True,
        told_by="checkpoint",
    )
    organism: Organism = option(
        Organism.HUMAN,
        "--organism",
        help="Organism whose tracks are predicted.",
        panel=MODEL,
        affects_scores=True,
        told_by="organism",
        shows_default=True,
    )
    precision: Precision | None = option(
        None,
        "--precision",
        help="Data type of the network's parameters. Default: bfloat16 on GPU and TPU, float32 on CPU.",
        panel=MODEL,
        affects_scores=True,
        told_by="precision",
    )
    rotary: Rotary = option(
        Rotary.AUTO,
        "--rotary",
        help="Data type of the rotary tables. Default: auto, the one that the checkpoint was made with.",
        panel=MODEL,
        affects_scores=True,
        told_by="rotary",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowOptions(OptionGroup):
    """The windows of sequence that the network gets."""

    window: int | None = option(
        None,
        "--window",
        help="Width of the window: 1Mb, 512kb, 256kb, 128kb, 64kb, 32kb, 16kb, or a number of bp divisible by 2048. "
        "Default: auto, the checkpoint's own.",
        panel=MODEL,
        affects_scores=True,
        told_by="window_bp",
        metavar="WIDTH",
        parse=parse_window,
        default_text=AUTO,
    )
    align: int = option(
        1,
        "--align",
        help="Snap window starts to a grid of this many bp (a multiple of 128), so that nearby variants share work. "
        "Default: 1, center the window on the variant.",
        panel=MODEL,
        affects_scores=True,
        told_by="align_bp",
        metavar="BP",
        minimum=1,
    )
    strand: Strand = option(
        Strand.PLUS,
        "--strand",
        help="Strand of the sequence that the network gets. Coordinates and genes in the output stay the same.",
        panel=MODEL,
        affects_scores=True,
        told_by="strand",
        shows_default=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlleleOptions(OptionGroup):
    """How alleles are taken from the input and placed in their windows."""

    indel_anchor: IndelAnchor | None = option(
        None,
        "--indel-anchor",
        help="Windows in which an indel's alternate allele is predicted. left: one window, as the official code does; "
        "both: two, so that neither flank is shifted. Default: what the checkpoint says.",
        panel=MODEL,
        affects_scores=True,
        told_by="indel_anchor",
    )
    on_ref_mismatch: MismatchPolicy | None = option(
        None,
        "--on-ref-mismatch",
        help="What to do if REF does not match the reference genome. Default: skip.",
        panel=RUN,
        affects_scores=True,
        told_by="on_ref_mismatch",
    )
    as_written: bool = option(
        False,
        "--as-written",
        help="Score REF and ALT as written, as the official code does. Default: trim and left-align them first.",
        panel=RUN,
        affects_scores=True,
        told_by="as_written",
    )
    official: bool = option(
        False,
        "--official",
        help="Follow the official code's conventions for alleles: --as-written, --indel-anchor left and "
        "--on-ref-mismatch substitute.",
        panel=RUN,
        affects_scores=True,
        told_by="as_written",
    )

    def resolved(self) -> Self:
        """Return the options with what `official` implies.

        Raises:
            UsageError: an option contradicts `official`.
        """
        if not self.official:
            return self
        implied = {"indel_anchor": IndelAnchor.LEFT, "on_ref_mismatch": MismatchPolicy.SUBSTITUTE}
        for name, value in implied.items():
            found, flag = getattr(self, name), f"--{name.replace('_', '-')}"
            if found not in (None, value):
                raise UsageError(
                    f"--official {flag} {found}\n--official means {flag} {value}",
                    hint=f"leave out --official or {flag}",
                )
        return dataclasses.replace(self, as_written=True, official=False, **implied)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScorerOptions(OptionGroup):
    """Which scores are made, and what they are ranked in."""

    scorers: tuple[str, ...] | None = option(
        None,
        "-s",
        "--scorer",
        help="Scorer to run, or `all` for every scorer that can run; may be repeated. "
        "Default: the scorers that the checkpoint names, or else all.",
        panel=MODEL,
        affects_scores=True,
        told_by="scorers",
        metavar="NAME",
    )
    quantiles: Path | None = option(
        None,
        "--quantiles",
        help="Background quantiles made by `vepscore calibrate`. Default: those in the checkpoint's directory.",
        panel=MODEL,
        affects_scores=True,
        told_by="quantiles",
        metavar="DIR",
    )
    no_quantiles: bool = option(
        False,
        "--no-quantiles",
        help="Write no quantiles.",
        panel=MODEL,
        affects_scores=True,
        told_by="quantiles",
    )

    def __post_init__(self) -> None:
        if self.quantiles is not None and self.no_quantiles:
            raise UsageError("--quantiles and --no-quantiles\nexpected one of them")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComputeOptions(OptionGroup):
    """What computes, and how."""

    device: Device = option(
        Device.AUTO,
        "--device",
        help="Device that runs the network. Default: auto, the best there is.",
        panel=RUN,
        affects_scores=True,
        told_by="device",
    )
    batch: int = option(
        1,
        "--batch",
        help="Number of alternate alleles per batch.",
        panel=RUN,
        affects_scores=True,
        metavar="N",
        minimum=1,
        shows_default=True,
    )
    parallelism: Parallelism = option(
        Parallelism.DATA,
        "--parallelism",
        help="With several devices: data gives each device windows of its own; sequence divides the positions of each "
        "window among them, for windows that do not fit into the memory of one.",
        panel=RUN,
        affects_scores=True,
        shows_default=True,
        former=Former("--split", {"windows": str(Parallelism.DATA), "positions": str(Parallelism.SEQUENCE)}),
    )
    engine: EngineKind = option(
        EngineKind.SPARSE,
        "--engine",
        help="sparse computes only the positions that scorers read; dense computes whole windows.",
        panel=RUN,
        affects_scores=True,
        told_by="engine",
        shows_default=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(OptionGroup):
    """How the work is divided and resumed, and what is told of it."""

    shard: Shard | None = option(
        None,
        "--shard",
        help="Score the I-th of N parts of the input, which have roughly equal cost. "
        "`vepscore merge` joins the outputs.",
        panel=SCALE,
        affects_scores=False,
        metavar="I/N",
        parse=Shard.parse,
    )
    resume: bool = option(
        True,
        "--resume/--no-resume",
        help="Resume an interrupted run, or start over. Default: resume.",
        panel=SCALE,
        affects_scores=False,
    )
    cluster: str | None = option(
        None,
        "--cluster",
        help="Score on a Dask cluster: the address of its scheduler, or local:N for N processes on this machine.",
        panel=SCALE,
        affects_scores=False,
        metavar="ADDRESS",
    )
    json_summary: Path | None = option(
        None,
        "--json-summary",
        help="Write versions, hashes, counts and timings as JSON; - is standard output.",
        panel=RUN,
        affects_scores=False,
        metavar="FILE",
    )
    strict: bool = option(
        False,
        "--strict",
        help="Exit with status 3 if an allele was not scored, other than NOT_APPLICABLE.",
        panel=RUN,
        affects_scores=False,
    )
    overwrite_existing: bool = option(
        False,
        "--overwrite-existing",
        help="Replace the annotation of an earlier run in the input. Default: refuse such an input.",
        panel=RUN,
        affects_scores=False,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SaturationOptions(OptionGroup):
    """The picture of `vepscore ism`."""

    picture: Path | None = option(
        None,
        "--picture",
        help="Draw a logo over a heat map into this file: .svg or .png. Default: draw none.",
        panel=DATA,
        affects_scores=False,
        metavar="FILE",
    )
    by: str | None = option(
        None,
        "--by",
        help="Scorer that the picture shows. Default: VS_SPLICE, the composite; with -s the first scorer.",
        panel=DATA,
        affects_scores=False,
        metavar="SCORER",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogOptions(OptionGroup):
    """How much is logged."""

    verbose: bool = option(False, "-v", "--verbose", help="Log more.", panel="Options", affects_scores=False)
    quiet: bool = option(
        False, "-q", "--quiet", help="Log only warnings and errors.", panel="Options", affects_scores=False
    )


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
