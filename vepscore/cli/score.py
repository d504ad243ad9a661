"""`vepscore score`: a VCF in, an annotated VCF, a long table and a per-allele table out."""

import enum
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.cli.option_groups import (
    AUTO,
    DATA,
    MODEL,
    RUN,
    SCALE,
    AlignOption,
    Anchor,
    BatchOption,
    CheckpointOption,
    Device,
    DeviceOption,
    GenesOption,
    IndelAnchorOption,
    MetadataOption,
    Organism,
    OrganismOption,
    PolyaOption,
    PrecisionOption,
    ReferenceOption,
    ResumeOption,
    Rotary,
    RotaryOption,
    ScorerOption,
    Split,
    SplitOption,
    Strand,
    StrandOption,
    WindowOption,
    check_align,
    find_window,
    parse_indel_anchor,
)
from vepscore.errors import UsageError

STDOUT = "-"
NOT_ALL_SCORED = 3  # exit status with --strict


class OnRefMismatch(enum.StrEnum):
    skip = "skip"
    substitute = "substitute"
    error = "error"


class Engine(enum.StrEnum):
    sparse = "sparse"
    dense = "dense"


def score(
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help=".vcf, .vcf.gz, .bcf, or - for standard input.")
    ],
    reference: ReferenceOption,
    genes: GenesOption = None,
    polya: PolyaOption = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "-o",
            "--output",
            help="Repeatable. .vcf, .vcf.gz, .bcf or - (annotated VCF; the default is -), .parquet (long table).",
            rich_help_panel=DATA,
        ),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="One row per allele: .tsv, .tsv.gz or .parquet.", rich_help_panel=DATA),
    ] = None,
    spliceai: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Splice events as VEP's SpliceAI plug-in reads them: .vcf.gz, which it needs, or .vcf.",
            rich_help_panel=DATA,
        ),
    ] = None,
    checkpoint: CheckpointOption = None,
    metadata: MetadataOption = None,
    organism: OrganismOption = Organism.human,
    window: WindowOption = AUTO,
    align: AlignOption = 1,
    strand: StrandOption = Strand.plus,
    indel_anchor: IndelAnchorOption = None,
    scorer: ScorerOption = None,
    precision: PrecisionOption = None,
    rotary: RotaryOption = Rotary.auto,
    quantiles: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Background quantiles from `vepscore calibrate`. Default: those in the checkpoint's directory.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    no_quantiles: Annotated[
        bool, typer.Option("--no-quantiles", help="Write no quantiles.", rich_help_panel=MODEL)
    ] = False,
    on_ref_mismatch: Annotated[
        OnRefMismatch | None,
        typer.Option(
            help="What to do if REF does not match the reference genome. Default: skip.", rich_help_panel=RUN
        ),
    ] = None,
    as_written: Annotated[
        bool,
        typer.Option(
            "--as-written",
            help="Take REF and ALT as they stand, as the official code does; else trimmed and left-aligned.",
            rich_help_panel=RUN,
        ),
    ] = False,
    official: Annotated[
        bool,
        typer.Option(
            "--official",
            help="Follow the official code's conventions for alleles: --as-written, --indel-anchor left and "
            "--on-ref-mismatch substitute.",
            rich_help_panel=RUN,
        ),
    ] = False,
    device: DeviceOption = Device.auto,
    batch: BatchOption = 1,
    split: SplitOption = Split.windows,
    engine: Annotated[
        Engine,
        typer.Option(help="sparse: only what scorers read; dense: whole windows.", rich_help_panel=RUN),
    ] = Engine.sparse,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Score the I-th of N parts of the input, of about as much work each.",
            rich_help_panel=SCALE,
        ),
    ] = None,
    resume: ResumeOption = True,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler's address, or local:N for N processes on this machine.",
            rich_help_panel=SCALE,
        ),
    ] = None,
    json_summary: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Versions, hashes, counts and timings, as JSON; - is standard output.",
            rich_help_panel=RUN,
        ),
    ] = None,
    strict: Annotated[
        bool,
        typer.Option(
            "--strict",
            help="End with status 3 if an allele was not scored, other than NOT_APPLICABLE.",
            rich_help_panel=RUN,
        ),
    ] = False,
    overwrite_existing: Annotated[
        bool,
        typer.Option(
            "--overwrite-existing", help="Replace the annotation of an earlier run.", rich_help_panel=RUN
        ),
    ] = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Score the variants of a VCF: what each allele changes in splicing, expression, accessibility and more."""
    from vepscore.cli.progress import observing, print_report
    from vepscore.engine.job import Job
    from vepscore.engine.preparer import MismatchPolicy
    from vepscore.engine.run_job import run_job
    from vepscore.engine.settings import set_up_process
    from vepscore.engine.shards import Shard

    window_bp = find_window(window, checkpoint)
    check_align(align, window_bp)
    if quantiles is not None and no_quantiles:
        raise UsageError("--quantiles and --no-quantiles\nexpected one of them")
    if official:
        _check_official(indel_anchor, on_ref_mismatch)
        as_written, indel_anchor, on_ref_mismatch = True, Anchor.left, OnRefMismatch.substitute
    outputs = tuple(output or [STDOUT])
    job = Job(
        source=source,
        reference=reference,
        genes=genes,
        polya=polya,
        outputs=outputs,
        table=table,
        spliceai=spliceai,
        background=None,
        checkpoint=checkpoint,
        metadata=metadata,
        organism=organism,
        window_bp=window_bp,
        align_bp=align,
        strand="-" if strand is Strand.minus else "+",
        indel_anchor=parse_indel_anchor(indel_anchor),
        scorers=tuple(scorer) if scorer else None,
        precision=precision,
        rotary=rotary,
        on_mismatch=MismatchPolicy(on_ref_mismatch or OnRefMismatch.skip),
        as_written=as_written,
        device=device,
        batch=batch,
        engine=engine,
        split=split,
        quantiles=quantiles,
        use_quantiles=not no_quantiles,
        overwrite=overwrite_existing,
        shard=Shard.parse(shard) if shard else None,
        resume=resume,
        cluster=cluster,
        summary=json_summary,
        command=("vepscore", *sys.argv[1:]),
    )
    set_up_process(device)
    with observing() as observe:
        report = run_job(job, observe)
    if logging.getLogger(__name__).isEnabledFor(logging.INFO):
        print_report(report)
    if strict and report.counts.unscored:
        raise typer.Exit(NOT_ALL_SCORED)


def _check_official(indel_anchor: Anchor | None, on_ref_mismatch: OnRefMismatch | None) -> None:
    """Raise UsageError if an option contradicts `--official`."""
    found = {
        "--indel-anchor": (indel_anchor, Anchor.left),
        "--on-ref-mismatch": (on_ref_mismatch, OnRefMismatch.substitute),
    }
    for name, (value, implied) in found.items():
        if value not in (None, implied):
            raise UsageError(
                f"--official {name} {value}\n--official means {name} {implied}",
                hint=f"leave out --official or {name}",
            )
