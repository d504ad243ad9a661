"""The options of one scoring job."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from vepscore.engine.intake import MismatchPolicy
from vepscore.engine.shards import Shard
from vepscore.errors import UsageError
from vepscore.io.atomic import check_suffix
from vepscore.io.spliceai import SUFFIXES as SPLICEAI_SUFFIXES
from vepscore.io.table import SUFFIXES as TABLE_SUFFIXES
from vepscore.io.vcf import STDOUT
from vepscore.io.vcf import SUFFIXES as VCF_SUFFIXES

LONG_TABLE_SUFFIX = ".parquet"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Saturation:
    """The outputs of a job whose input is every substitution of a region."""

    table: Path  # Parquet
    picture: Path | None  # .svg or .png
    by: str  # the scorer of the picture, or the composite
    chrom: str
    start0: int  # of the region, 0-based
    bases: str  # of the reference

    @property
    def files(self) -> list[Path]:
        """The outputs."""
        return [self.table, *([self.picture] if self.picture else [])]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """The options of one job."""

    source: str = ""  # VCF or BCF; "-" is standard input; "" where there is none
    reference: Path
    genes: Path | None
    polya: Path | None = None
    outputs: tuple[str, ...] = ()  # annotated VCFs and long tables, by suffix; "-" is standard output
    table: Path | None = None  # per-allele table
    spliceai: Path | None = None  # splice events in the form of SpliceAI's output
    background: Path | None = None  # takes the quantiles of all scores: the input is a background of variants
    checkpoint: str | None  # name or directory; None: the embedded one
    metadata: Path | None  # track metadata, for a checkpoint in the official layout
    organism: str
    window_bp: int
    align_bp: int
    strand: str  # "+" or "-": the strand that the network reads
    scorers: tuple[str, ...] | None  # names; None: all that can be made
    precision: str | None  # None: by device
    rotary: str  # "auto": what the checkpoint says
    on_mismatch: MismatchPolicy = MismatchPolicy.SKIP
    as_written: bool = False  # alleles as the record has them, as the official code takes them
    device: str
    batch: int
    engine: str = "sparse"  # or "dense"
    split: str  # what several devices divide: "windows" or "positions"
    quantiles: Path | None = None  # a file or its folder; None: those that lie with the checkpoint
    use_quantiles: bool = False  # rank the scores, where there are quantiles
    overwrite: bool = False  # replace the annotation of an earlier run
    shard: Shard | None = None  # score only one of several parts of the input
    resume: bool = True  # go on from what a killed run has left
    cluster: str | None = None  # a Dask scheduler's address, or "local:N"
    summary: Path | None = None  # JSON
    saturation: Saturation | None = None  # the input is every substitution of a region
    command: tuple[str, ...]  # for the record

    @property
    def files(self) -> list[str]:
        """The outputs that are files, the summary left out."""
        others = [str(path) for path in (self.table, self.spliceai, self.background) if path is not None]
        others += map(str, self.saturation.files if self.saturation else ())
        return [name for name in self.outputs if name != STDOUT] + others

    @property
    def keeps_blocks(self) -> bool:
        """Whether an output has all scores."""
        return self.background is not None or any(name.endswith(LONG_TABLE_SUFFIX) for name in self.outputs)


def check_outputs(
    source: str,
    outputs: Sequence[str],
    table: Path | None,
    summary: Path | None = None,
    spliceai: Path | None = None,
) -> None:
    """Refuses outputs of unknown kinds, two at one place, and one in the place of the input.

    Raises:
        UsageError: a suffix is unknown, a path, or standard output, is named twice, or an output is the input.
    """
    _check_suffixes(outputs, table)
    if spliceai is not None:
        check_suffix(spliceai, SPLICEAI_SUFFIXES)
    by_place: dict[str, list[str]] = {}
    for name in [*outputs, *(str(path) for path in (table, spliceai, summary) if path)]:
        by_place.setdefault(name if name == STDOUT else os.path.realpath(name), []).append(name)
    doubled = [name for names in by_place.values() if len(names) > 1 for name in dict.fromkeys(names)]
    if doubled:
        raise UsageError(f"two outputs have one name: {', '.join(doubled)}", hint="give each -o its own path")
    if source != STDOUT and os.path.realpath(source) in by_place:
        raise UsageError(f"output {source} is the input, which it would replace", hint="give -o another path")


def _check_suffixes(outputs: Sequence[str], table: Path | None) -> None:
    for name in outputs:
        if name != STDOUT and not name.endswith((*VCF_SUFFIXES, LONG_TABLE_SUFFIX)):
            raise UsageError(
                f"output {name}\n"
                f"expected a name that ends in {', '.join(VCF_SUFFIXES)} or {LONG_TABLE_SUFFIX}, "
                f"or {STDOUT} for standard output"
            )
    if table is not None and not table.name.endswith(TABLE_SUFFIXES):
        raise UsageError(f"table {table}\nexpected a name that ends in {', '.join(TABLE_SUFFIXES)}")
