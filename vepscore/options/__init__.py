"""The options of the commands and of the Python API, each declared once.

A group is a frozen dataclass that says whether its options affect scores. Each of its fields is made by `option`, which
says what the option does. From these declarations follow the parameters of the commands
(`vepscore.cli.option_groups`), the command that outputs record, and the key of the journal. A new option needs a field
here, and the code that uses it.

Nothing heavy is imported here: `vepscore --help` reads this module.
"""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar, Self

from vepscore.errors import UsageError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.options.option_spec import REQUIRED, Former, OptionGroup, option
from vepscore.options.option_types import (
    AUTO,
    Device,
    EngineKind,
    MismatchPolicy,
    Organism,
    Parallelism,
    Precision,
    Rotary,
    Shard,
    Strand,
    parse_window,
)

ALL_SCORERS = "all"  # in `ScorerOptions.scorers`: every scorer that can run
DATA, MODEL, ALLELES, RUN, SCALE = "Data", "Model", "Alleles", "Run", "Many jobs"  # panels of the help
ORDER, FILTERS = "Order", "Filters"  # panels of the help of rankings


@dataclasses.dataclass(frozen=True, kw_only=True)
class GenomeOptions(OptionGroup):
    """The genome and its annotation."""

    panel: ClassVar[str] = DATA

    reference: Path = option(
        REQUIRED,
        "Reference FASTA, uncompressed or bgzipped. An index is built if missing.",
        "-r",
        recorded_as="reference",
    )
    genes: Path | None = option(
        None,
        "Gene annotation: GENCODE, Ensembl or RefSeq GTF, plain or gzipped.",
        "-g",
        recorded_as="annotation",
    )
    polya: Path | None = option(
        None,
        "Poly(A) sites for POLYADENYLATION, as TSV with the columns gene_id, chrom, start (0-based) and strand.",
        recorded_as="polya",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions(OptionGroup):
    """The network."""

    panel: ClassVar[str] = MODEL

    checkpoint: str | None = option(
        None,
        "Checkpoint: a name from `vepscore weights list`, or a directory. Default: the embedded one.",
        "-c",
        recorded_as="checkpoint",
        metavar="NAME|DIR",
    )
    metadata: Path | None = option(
        None,
        "Track metadata (textproto); needed only for a checkpoint in the official layout.",
        recorded_as="checkpoint",
    )
    organism: Organism = option(
        Organism.HUMAN, "Organism whose tracks are predicted.", recorded_as="organism", shows_default=True
    )
    precision: Precision | None = option(
        None,
        "Data type of the network's parameters. Default: bfloat16 on GPU and TPU, float32 on CPU and for networks that "
        "are published with a program of their own.",
        recorded_as="precision",
    )
    rotary: Rotary = option(
        Rotary.AUTO,
        "Data type of the rotary tables. Default: auto, the one that the checkpoint was made with.",
        recorded_as="rotary",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class WindowOptions(OptionGroup):
    """The windows of sequence that the network gets."""

    panel: ClassVar[str] = MODEL

    window: int | None = option(
        None,
        "Width of the window: 1Mb, 512kb, 256kb, 128kb, 64kb, 32kb, 16kb, or a number of bp; which ones, the network "
        "says (AlphaGenome: multiples of 2048). "
        "Default: auto, the checkpoint's own.",
        recorded_as="window_bp",
        metavar="WIDTH",
        parse=parse_window,
        command_default=AUTO,
    )
    align: int = option(
        1,
        "Snap window starts to a grid of this many bp (a multiple of 128), so that nearby variants share work. "
        "Default: 1, center the window on the variant.",
        recorded_as="align_bp",
        metavar="BP",
        minimum=1,
    )
    strand: Strand = option(
        Strand.PLUS,
        "Strand of the sequence that the network gets. Coordinates and genes in the output stay the same.",
        recorded_as="strand",
        shows_default=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlleleOptions(OptionGroup):
    """How alleles are taken from the input and placed in their windows."""

    panel: ClassVar[str] = ALLELES

    indel_anchor: IndelAnchor | None = option(
        None,
        "Windows in which an indel's alternate allele is predicted. left: one window, as the official code does; "
        "both: two, so that neither flank is shifted. Default: what the checkpoint says.",
        recorded_as="indel_anchor",
    )
    on_ref_mismatch: MismatchPolicy | None = option(
        None,
        "What to do if REF does not match the reference genome. skip: give the allele the "
        "status REF_MISMATCH; substitute: write REF over the sequence, as the official code does; error: stop. "
        "Default: skip.",
        recorded_as="on_ref_mismatch",
    )
    as_written: bool = option(
        False,
        "Score REF and ALT as written, as the official code does. Default: trim and left-align them first.",
        recorded_as="as_written",
    )
    official: bool = option(
        False,
        "Follow the official code's conventions for alleles: --as-written, --indel-anchor left and "
        "--on-ref-mismatch substitute.",
        recorded_as="as_written",
    )

    def resolved(self) -> Self:
        """Return the options with what `official` implies.

        Raises:
            UsageError: an option contradicts `official`.
        """
        if not self.official:
            return self
        implied: dict[str, Any] = {
            "indel_anchor": IndelAnchor.LEFT,
            "on_ref_mismatch": MismatchPolicy.SUBSTITUTE,
        }
        for name, value in implied.items():
            found, flag = getattr(self, name), f"--{name.replace('_', '-')}"
            if found not in (None, value):
                raise UsageError(
                    f"--official {flag} {found}\n--official means {flag} {value}",
                    hint=f"omit --official or {flag}",
                )
        return dataclasses.replace(self, as_written=True, official=False, **implied)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScorerOptions(OptionGroup):
    """Which scores are made, and what they are ranked in."""

    panel: ClassVar[str] = MODEL

    scorers: tuple[str, ...] | None = option(
        None,
        "Scorer to run, or `all` for every scorer that can run; may be repeated. "
        "Default: the scorers that the checkpoint names, or else all.",
        "-s",
        "--scorer",
        recorded_as="scorers",
        metavar="NAME",
    )
    quantiles: Path | None = option(
        None,
        "Background quantiles made by `vepscore calibrate`. Default: those in the checkpoint's directory.",
        recorded_as="quantiles",
        metavar="DIR",
    )
    no_quantiles: bool = option(False, "Write no quantiles.", recorded_as="quantiles")

    spliceai_distance: int = option(
        50,
        "Distance from the variant, in bp, up to which delta scores are computed by networks that have a program of "
        "their own (SpliceAI, Pangolin and the like).",
        recorded_as="delta_scores",
        metavar="BP",
        minimum=1,
        shows_default=True,
    )
    spliceai_mask: int = option(
        0,
        "1: leave out gains of annotated splice sites and losses of others from those delta scores; 0: keep them.",
        recorded_as="delta_scores",
        metavar="0|1",
        shows_default=True,
    )

    def __post_init__(self) -> None:
        if self.spliceai_mask not in (0, 1):
            raise UsageError(f"--spliceai-mask {self.spliceai_mask}\nexpected 0 or 1")
        if self.quantiles is not None and self.no_quantiles:
            raise UsageError("--quantiles and --no-quantiles\nexpected one of them")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComputeOptions(OptionGroup):
    """What computes, and how."""

    panel: ClassVar[str] = RUN

    device: Device = option(
        Device.AUTO, "Device that runs the network. Default: auto, the best there is.", recorded_as="device"
    )
    batch: int = option(
        1, "Number of alternate alleles per batch.", metavar="N", minimum=1, shows_default=True
    )
    parallelism: Parallelism = option(
        Parallelism.DATA,
        "With several devices: data gives each device windows of its own; sequence divides the positions of each "
        "window among them, for windows that do not fit into the memory of one.",
        shows_default=True,
        former=Former("--split", {"windows": "data", "positions": "sequence"}),
    )
    engine: EngineKind = option(
        EngineKind.SPARSE,
        "sparse computes only the positions that scorers read; dense computes whole windows.",
        recorded_as="engine",
        shows_default=True,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunOptions(OptionGroup):
    """How the work is divided and resumed, and what is reported."""

    panel: ClassVar[str] = RUN
    affects_scores: ClassVar[bool] = False

    shard: Shard | None = option(
        None,
        "Score the I-th of N parts of the input, which have roughly equal cost. "
        "`vepscore merge` joins the outputs.",
        panel=SCALE,
        metavar="I/N",
        parse=Shard.parse,
    )
    resume: bool = option(
        True,
        "Resume an interrupted run, or start over. Default: resume.",
        "--resume/--no-resume",
        panel=SCALE,
    )
    cluster: str | None = option(
        None,
        "Score on a Dask cluster: the address of its scheduler, or local:N for N processes on this machine.",
        panel=SCALE,
        metavar="ADDRESS",
    )
    json_summary: Path | None = option(
        None, "Write versions, hashes, counts and timings as JSON; - is standard output.", metavar="FILE"
    )
    strict: bool = option(False, "Exit with status 3 if an allele was not scored, other than NOT_APPLICABLE.")
    overwrite_existing: bool = option(
        False, "Replace the annotation of an earlier run in the input. Default: refuse such an input."
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SaturationOptions(OptionGroup):
    """The picture of `vepscore ism`."""

    panel: ClassVar[str] = DATA
    affects_scores: ClassVar[bool] = False

    picture: Path | None = option(
        None,
        "Draw a logo over a heat map into this file: .svg, .png or .pdf. Default: draw none.",
        metavar="FILE",
    )
    by: str | None = option(
        None,
        "Scorer that the picture shows. Default: VS_SPLICE, the composite; with -s the first scorer.",
        metavar="SCORER",
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogOptions(OptionGroup):
    """How much is logged."""

    affects_scores: ClassVar[bool] = False

    verbose: bool = option(False, "Log more.", "-v")
    quiet: bool = option(False, "Log only warnings and errors.", "-q")


@dataclasses.dataclass(frozen=True, kw_only=True)
class RankOptions(OptionGroup):
    """Which scored alleles are ranked, and by what."""

    panel: ClassVar[str] = FILTERS
    affects_scores: ClassVar[bool] = False

    by: str = option(
        "splice",
        "Effect to rank by: splice, rna, atac, dnase, chip_tf, chip_histone, cage, procap, contact or polya.",
        panel=ORDER,
        metavar="MODALITY",
        shows_default=True,
    )
    tissue: str | None = option(
        None,
        "Use only tracks of this biosample or ontology term. Needs the long table. Default: all tissues.",
        panel=ORDER,
    )
    top: int | None = option(
        None, "Keep only the first N. Default: all.", panel=ORDER, metavar="N", minimum=1
    )
    genes: tuple[str, ...] | None = option(
        None,
        "Use only scores of these genes: names or ids, separated by commas, or a file of them. May be repeated.",
        "--gene",
        metavar="LIST",
    )
    regions: tuple[str, ...] | None = option(
        None,
        "Keep only alleles in this region, 1-based. May be repeated.",
        "--region",
        metavar="CONTIG[:START-END]",
    )
    max_af: str | None = option(
        None,
        "Keep only alleles with at most VALUE in the INFO field, or with no value, such as gnomAD_AF=0.001.",
        metavar="FIELD=VALUE",
    )
    sample: str | None = option(None, "Keep only alleles that this sample carries.", metavar="NAME")
