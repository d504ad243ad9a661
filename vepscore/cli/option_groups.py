"""The options that commands which run a network share."""

import enum
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.errors import UsageError
from vepscore.model.precision import Precision

if TYPE_CHECKING:
    from vepscore.genome.indel_anchor import IndelAnchor

log = logging.getLogger(__name__)

AUTO = "auto"  # of options whose default belongs to the checkpoint
DATA, MODEL, RUN, SCALE = "Data", "Model", "Run", "Many jobs"  # groups in the help


class Organism(enum.StrEnum):
    human = "human"
    mouse = "mouse"


class Rotary(enum.StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Strand(enum.StrEnum):
    plus = "plus"
    minus = "minus"


class Anchor(enum.StrEnum):
    left = "left"
    both = "both"


class Device(enum.StrEnum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    tpu = "tpu"


class Split(enum.StrEnum):
    windows = "windows"
    positions = "positions"


ReferenceOption = Annotated[
    Path,
    typer.Option(
        "-r", "--reference", help="FASTA, plain or bgzip; indexed when it is not.", rich_help_panel=DATA
    ),
]
GenesOption = Annotated[
    Path | None,
    typer.Option("-g", "--genes", help="GENCODE, Ensembl or RefSeq GTF, plain or gz.", rich_help_panel=DATA),
]
PolyaOption = Annotated[
    Path | None,
    typer.Option(help="Poly(A) sites, TSV: gene_id, chrom, start (0-based), strand.", rich_help_panel=DATA),
]
CheckpointOption = Annotated[
    str | None,
    typer.Option(
        "-c",
        "--checkpoint",
        help="A name from `vepscore weights list`, or a directory. Default: the embedded one.",
        rich_help_panel=MODEL,
    ),
]
MetadataOption = Annotated[
    Path | None,
    typer.Option(
        help="Track metadata (textproto) of a checkpoint in the official layout.", rich_help_panel=MODEL
    ),
]
OrganismOption = Annotated[Organism, typer.Option(rich_help_panel=MODEL)]
WindowOption = Annotated[
    str,
    typer.Option(
        help="Width of the window: 1Mb, 512kb, 256kb, 128kb, 64kb, 32kb, 16kb, or bp divisible by 2048. "
        "Default: auto, the checkpoint's own.",
        show_default=False,
        rich_help_panel=MODEL,
    ),
]
AlignOption = Annotated[
    int,
    typer.Option(
        min=1,
        help="1 centres each window on its variant; else a multiple of 128.",
        rich_help_panel=MODEL,
    ),
]
StrandOption = Annotated[
    Strand,
    typer.Option(
        help="The strand that the network reads; scores are of the same genes and positions.",
        rich_help_panel=MODEL,
    ),
]
ScorerOption = Annotated[
    list[str] | None,
    typer.Option(
        "-s",
        "--scorer",
        help="Scorer to run, or `all` for every scorer that can run; may be repeated. "
        "Default: those that the checkpoint names, or all.",
        rich_help_panel=MODEL,
    ),
]
IndelAnchorOption = Annotated[
    Anchor | None,
    typer.Option(
        "--indel-anchor",
        help="Windows of an insertion's or deletion's alternate allele. both: a second one, so that the sequence on "
        "either side of it is not shifted; left: one, as the official code does. Default: what the checkpoint says.",
        rich_help_panel=MODEL,
    ),
]
PrecisionOption = Annotated[
    Precision | None,
    typer.Option(help="Default: bfloat16 on GPU and TPU, float32 on CPU.", rich_help_panel=MODEL),
]
RotaryOption = Annotated[
    Rotary,
    typer.Option(
        help="Rotary tables' dtype; auto: what the checkpoint was made with.", rich_help_panel=MODEL
    ),
]
DeviceOption = Annotated[Device, typer.Option(rich_help_panel=RUN)]
BatchOption = Annotated[
    int, typer.Option(min=1, help="Alternates of one window computed together.", rich_help_panel=RUN)
]
SplitOption = Annotated[
    Split,
    typer.Option(
        help="With several devices: each has its own windows, or all share the positions of each window.",
        rich_help_panel=RUN,
    ),
]
ResumeOption = Annotated[
    bool,
    typer.Option(help="Go on from what a killed run has left, or start anew.", rich_help_panel=SCALE),
]


def find_window(window: str, checkpoint: str | None) -> int:
    """Return the window's width in bp, and log where it comes from if it is the checkpoint's default.

    Args:
        window: as `--window` has it.
        checkpoint: as `--checkpoint` has it.

    Raises:
        UsageError: it is no such width.
        CheckpointError: the default of the checkpoint cannot be read.
    """
    from vepscore.genome.windows import parse_width
    from vepscore.model.defaults import read_defaults

    if window != AUTO:
        return parse_width(window)
    defaults = read_defaults(checkpoint)
    log.info("window of %s bp, the default of %s", f"{defaults.window_bp:,}", defaults.checkpoint)
    return parse_width(str(defaults.window_bp))


def parse_indel_anchor(anchor: Anchor | None) -> "IndelAnchor | None":
    """Return the option as the engine takes it; None for what the checkpoint says."""
    from vepscore.genome.indel_anchor import IndelAnchor

    return None if anchor is None else IndelAnchor(anchor)


def check_align(align_bp: int, window_bp: int) -> None:
    """Refuses window starts on a grid that the network, or the window, has no room for.

    Raises:
        UsageError: the grid is neither 1 nor a multiple of the trunk's bins up to a quarter of the window.
    """
    from vepscore.model.config import TRUNK_BIN_BP

    if align_bp == 1 or (align_bp % TRUNK_BIN_BP == 0 and align_bp <= window_bp // 4):
        return
    raise UsageError(
        f"--align {align_bp}\nexpected 1, or a multiple of {TRUNK_BIN_BP} up to a quarter of the window",
        hint="1 centres each window on its variant",
    )
