"""`vepscore score`: a VCF in, an annotated VCF, a long table and a per-allele table out."""

import enum
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.errors import UsageError

STDOUT = "-"
NOT_ALL_SCORED = 3  # exit status with --strict


class Organism(enum.StrEnum):
    human = "human"
    mouse = "mouse"


class OnRefMismatch(enum.StrEnum):
    skip = "skip"
    substitute = "substitute"
    error = "error"


class Precision(enum.StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"


class Rotary(enum.StrEnum):
    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


class Strand(enum.StrEnum):
    plus = "plus"
    minus = "minus"


class Device(enum.StrEnum):
    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    tpu = "tpu"


class Engine(enum.StrEnum):
    sparse = "sparse"
    dense = "dense"


class Split(enum.StrEnum):
    windows = "windows"
    positions = "positions"


_DATA, _MODEL, _RUN, _SCALE = "Data", "Model", "Run", "Many jobs"


def score(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help=".vcf, .vcf.gz, .bcf, or - for standard input.")
    ],
    reference: Annotated[
        Path,
        typer.Option(
            "-r", "--reference", help="FASTA, plain or bgzip; indexed when it is not.", rich_help_panel=_DATA
        ),
    ],
    genes: Annotated[
        Path | None,
        typer.Option(
            "-g", "--genes", help="GENCODE, Ensembl or RefSeq GTF, plain or gz.", rich_help_panel=_DATA
        ),
    ] = None,
    polya: Annotated[
        Path | None,
        typer.Option(
            help="Poly(A) sites, TSV: gene_id, chrom, start (0-based), strand.", rich_help_panel=_DATA
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            help="Repeatable. .vcf, .vcf.gz, .bcf or - (annotated VCF; the default is -), .parquet (long table).",
            rich_help_panel=_DATA,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="One row per allele: .tsv, .tsv.gz or .parquet.", rich_help_panel=_DATA),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--checkpoint",
            help="A name from `vepscore weights list`, or a directory. Default: the embedded one.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    metadata: Annotated[
        Path | None,
        typer.Option(
            help="Track metadata (textproto) of a checkpoint in the official layout.", rich_help_panel=_MODEL
        ),
    ] = None,
    organism: Annotated[Organism, typer.Option(rich_help_panel=_MODEL)] = Organism.human,
    window: Annotated[
        str,
        typer.Option(
            help="1Mb, 512kb, 128kb, 64kb, 32kb, 16kb, or bp divisible by 2048.", rich_help_panel=_MODEL
        ),
    ] = "1Mb",
    align: Annotated[
        int,
        typer.Option(
            min=1,
            help="1 centres each window on its variant; else a multiple of 128.",
            rich_help_panel=_MODEL,
        ),
    ] = 1,
    strand: Annotated[
        Strand,
        typer.Option(
            help="The strand that the network reads; scores are of the same genes and positions.",
            rich_help_panel=_MODEL,
        ),
    ] = Strand.plus,
    scorer: Annotated[
        list[str] | None,
        typer.Option(
            "-s", "--scorer", help="Repeatable. Default: all that can be made.", rich_help_panel=_MODEL
        ),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option(help="Default: bfloat16 on GPU and TPU, float32 on CPU.", rich_help_panel=_MODEL),
    ] = None,
    rotary: Annotated[
        Rotary,
        typer.Option(
            help="Rotary tables' dtype; auto: what the checkpoint was made with.", rich_help_panel=_MODEL
        ),
    ] = Rotary.auto,
    on_ref_mismatch: Annotated[
        OnRefMismatch,
        typer.Option(help="Where REF is not what the reference has.", rich_help_panel=_RUN),
    ] = OnRefMismatch.skip,
    device: Annotated[Device, typer.Option(rich_help_panel=_RUN)] = Device.auto,
    batch: Annotated[
        int, typer.Option(min=1, help="Alternates of one window computed together.", rich_help_panel=_RUN)
    ] = 1,
    split: Annotated[
        Split,
        typer.Option(
            help="With several devices: each has its own windows, or all share the positions of each window.",
            rich_help_panel=_RUN,
        ),
    ] = Split.windows,
    engine: Annotated[
        Engine,
        typer.Option(help="sparse: only what scorers read; dense: whole windows.", rich_help_panel=_RUN),
    ] = Engine.sparse,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Score the I-th of N parts of the input, of about as much work each.",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(help="Go on from what a killed run has left, or start anew.", rich_help_panel=_SCALE),
    ] = True,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler's address, or local:N for N processes on this machine.",
            rich_help_panel=_SCALE,
        ),
    ] = None,
    json_summary: Annotated[
        Path | None,
        typer.Option(help="Versions, hashes, counts and timings, as JSON.", rich_help_panel=_RUN),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit status 3 when an allele was not scored.", rich_help_panel=_RUN),
    ] = False,
    overwrite_existing: Annotated[
        bool,
        typer.Option(
            "--overwrite-existing", help="Replace the annotation of an earlier run.", rich_help_panel=_RUN
        ),
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Score the variants of a VCF: what each allele changes in splicing, expression, accessibility and more."""
    from vepscore.cli.progress import observing, print_report
    from vepscore.engine.intake import MismatchPolicy
    from vepscore.engine.job import run_job
    from vepscore.engine.options import Job, check_outputs
    from vepscore.engine.shards import Shard
    from vepscore.genome.windows import parse_width

    window_bp = parse_width(window)
    _check_align(align, window_bp)
    outputs = tuple(output or [STDOUT])
    check_outputs(source, outputs, table, json_summary)
    job = Job(
        source=source,
        reference=reference,
        genes=genes,
        polya=polya,
        outputs=outputs,
        table=table,
        checkpoint=checkpoint,
        metadata=metadata,
        organism=organism,
        window_bp=window_bp,
        align_bp=align,
        strand="-" if strand is Strand.minus else "+",
        scorers=tuple(scorer) if scorer else None,
        precision=precision,
        rotary=rotary,
        on_mismatch=MismatchPolicy(on_ref_mismatch),
        device=device,
        batch=batch,
        engine=engine,
        split=split,
        overwrite=overwrite_existing,
        shard=Shard.parse(shard) if shard else None,
        resume=resume,
        cluster=cluster,
        summary=json_summary,
        command=("vepscore", *sys.argv[1:]),
    )
    with observing() as observe:
        report = run_job(job, observe)
    if logging.getLogger(__name__).isEnabledFor(logging.INFO):
        print_report(report)
    if strict and report.counts.scored < report.counts.alleles:
        raise typer.Exit(NOT_ALL_SCORED)


def _check_align(align_bp: int, window_bp: int) -> None:
    from vepscore.model.config import TRUNK_BIN_BP

    if align_bp == 1 or (align_bp % TRUNK_BIN_BP == 0 and align_bp <= window_bp // 4):
        return
    raise UsageError(
        f"--align {align_bp}\nexpected 1, or a multiple of {TRUNK_BIN_BP} up to a quarter of the window",
        hint="1 centres each window on its variant",
    )
