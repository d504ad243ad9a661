"""The options of one scoring job."""

import dataclasses
from pathlib import Path

from vepscore.engine.preparer import MismatchPolicy
from vepscore.engine.shards import Shard
from vepscore.errors import CheckpointError
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.allele_table import SUFFIXES as TABLE_SUFFIXES
from vepscore.io.journal import journal_path
from vepscore.io.output_paths import check_output_paths
from vepscore.io.quantiles import list_quantiles
from vepscore.io.spliceai import SUFFIXES as SPLICEAI_SUFFIXES
from vepscore.io.streams import is_stream, output_suffix
from vepscore.io.vcf import SUFFIXES as VCF_SUFFIXES
from vepscore.model.registry import checkpoint_files, resolve_checkpoint

LONG_TABLE_SUFFIX = ".parquet"
ALL_SCORERS = "all"  # among the names of scorers: every one that can run


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
    scorers: tuple[str, ...] | None  # names, among them perhaps ALL_SCORERS; None: the checkpoint's defaults
    precision: str | None  # None: by device
    rotary: str  # "auto": what the checkpoint says
    on_mismatch: MismatchPolicy = MismatchPolicy.SKIP
    as_written: bool = False  # alleles as the record has them, as the official code takes them
    indel_anchor: IndelAnchor | None = None  # None: what the checkpoint says
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
    def other_outputs(self) -> list[str]:
        """The outputs besides `outputs` and the summary."""
        others = [str(path) for path in (self.table, self.spliceai, self.background) if path is not None]
        return [*others, *map(str, self.saturation.files if self.saturation else ())]

    @property
    def files(self) -> list[str]:
        """The outputs that are regular files, without the summary."""
        return [name for name in (*self.outputs, *self.other_outputs) if not is_stream(name)]

    @property
    def keeps_matrices(self) -> bool:
        """Whether an output has all scores."""
        return self.background is not None or any(name.endswith(LONG_TABLE_SUFFIX) for name in self.outputs)


def check_outputs(job: Job) -> None:
    """Refuse outputs of unknown formats, and those that would replace an input or one another.

    Raises:
        UsageError: as `output_suffix` and `check_output_paths`.
    """
    for name in job.outputs:
        output_suffix(name, (*VCF_SUFFIXES, LONG_TABLE_SUFFIX))
    if job.table is not None:
        output_suffix(job.table, TABLE_SUFFIXES)
    if job.spliceai is not None:
        output_suffix(job.spliceai, SPLICEAI_SUFFIXES)
    check_output_paths(
        [*job.outputs, *job.other_outputs, job.summary],
        list_inputs(job),
        side_files=[journal_path(job.files[0])] if job.files else (),
    )


def list_inputs(job: Job) -> list[str]:
    """Return the files that a job reads, those of its checkpoint too; some may not exist."""
    inputs = list_model_inputs(job.reference, job.checkpoint, job.metadata)
    inputs += [str(path) for path in (job.source, job.genes, job.polya) if path]
    if job.use_quantiles:
        place = job.quantiles or _find_checkpoint(job.checkpoint)
        if place is not None:
            inputs += map(str, [place] if place.is_file() else list_quantiles(place))
    return inputs


def list_model_inputs(reference: Path, checkpoint: str | None, metadata: Path | None) -> list[str]:
    """Return the files that a network and its input are read from; some may not exist."""
    directory = _find_checkpoint(checkpoint)
    files = [reference, metadata, *(checkpoint_files(directory) if directory else ())]
    return [str(path) for path in files if path is not None]


def _find_checkpoint(name: str | None) -> Path | None:
    try:
        return resolve_checkpoint(name)
    except CheckpointError:  # reported where it is opened
        return None
