"""One scoring job from its options to its outputs: what `vepscore score` does."""

import contextlib
import dataclasses
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from vepscore.contract import Scorer
from vepscore.engine.dense import DenseEngine
from vepscore.engine.device import (
    choose_device,
    default_precision,
    keep_compiled,
    list_devices,
    require_exact_products,
)
from vepscore.engine.intake import Intake, MismatchPolicy
from vepscore.engine.parallel import create_sparse_engine
from vepscore.engine.plugins import load_scorers
from vepscore.engine.provenance import describe_run
from vepscore.engine.run import RunCounts, run
from vepscore.engine.scoring import Engine
from vepscore.engine.selection import needed_outputs, select_scorers
from vepscore.errors import UsageError
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.polya import PolyASites
from vepscore.io.atomic import StagedWriter
from vepscore.io.header import VcfHeader
from vepscore.io.parquet import LongTableWriter
from vepscore.io.records import Scan, open_records, scan_records
from vepscore.io.table import SUFFIXES as TABLE_SUFFIXES
from vepscore.io.table import AlleleTableWriter
from vepscore.io.vcf import STDOUT, AnnotatedVcfWriter
from vepscore.io.vcf import SUFFIXES as VCF_SUFFIXES
from vepscore.model.checkpoint import Checkpoint, load_checkpoint
from vepscore.model.config import PAIR_BIN_BP
from vepscore.model.registry import is_official, resolve_checkpoint

log = logging.getLogger(__name__)

LONG_TABLE_SUFFIX = ".parquet"
_CHROMOSOME = re.compile(r"(chr)?(\d{1,2}|[XYWZM]|MT)")
_SHOWN_CONTIGS = 5
_ASSEMBLY = re.compile(r"assembly=\"?([^,\">]+)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """The options of one job."""

    source: str  # VCF or BCF; "-" is standard input
    reference: Path
    genes: Path | None
    polya: Path | None
    outputs: tuple[str, ...]  # annotated VCFs and long tables, by suffix; "-" is standard output
    table: Path | None  # per-allele table
    checkpoint: str | None  # name or directory; None: the embedded one
    metadata: Path | None  # track metadata, for a checkpoint in the official layout
    organism: str
    window_bp: int
    align_bp: int
    strand: str  # "+" or "-": the strand that the network reads
    scorers: tuple[str, ...] | None  # names; None: all that can be made
    precision: str | None  # None: by device
    rotary: str  # "auto": what the checkpoint says
    on_mismatch: MismatchPolicy
    device: str
    batch: int
    engine: str  # "sparse" or "dense"
    split: str  # what several devices divide: "windows" or "positions"
    overwrite: bool  # replace the annotation of an earlier run
    command: tuple[str, ...]  # for the record


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobReport:
    """What a finished job did."""

    counts: RunCounts
    left_out: dict[str, str]  # scorer's name to why it was left out
    device: str
    precision: str


def run_job(job: Job, observe: Callable[[RunCounts, int | None], None]) -> JobReport:
    """Runs a job; its outputs appear whole at the end, or not at all.

    Args:
        job: the options.
        observe: called at the start and after each record, with the counts so far and the number of records,
            where it is known.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    scan = scan_records(job.source)
    total = scan.records if scan else None
    observe(RunCounts(), total)
    with open_records(job.source) as records:
        reference = Reference(job.reference, cache_dir())
        annotation = Annotation.from_gtf(job.genes, cache_dir()) if job.genes else None
        polya = PolyASites.from_tsv(job.polya) if job.polya else None
        device = choose_device(job.device)
        keep_compiled(cache_dir())
        precision = job.precision or default_precision(device)
        require_exact_products(precision)
        scorers = load_scorers(job.scorers)
        checkpoint = _open_checkpoint(job, scorers, precision)
        selection = select_scorers(
            scorers,
            checkpoint,
            has_genes=annotation is not None,
            has_polya=polya is not None,
            asked_for=job.scorers is not None,
        )
        intake = Intake(
            reference=reference,
            window_bp=job.window_bp,
            align_bp=job.align_bp,
            annotation=annotation,
            polya=polya,
            on_mismatch=job.on_mismatch,
            assembly=_assembly(records.header),
            source=records.name,
        )
        rotary_dtype = checkpoint.config.rotary_dtype if job.rotary == "auto" else job.rotary
        engine = _create_engine(job, checkpoint, selection.scorers, rotary_dtype)
        checkpoint = dataclasses.replace(checkpoint, network=None)  # the engine has what it needs of it
        provenance = describe_run(
            command=job.command,
            checkpoint=checkpoint,
            intake=intake,
            reference=job.reference,
            genes=job.genes,
            polya=job.polya,
            organism=job.organism,
            strand=job.strand,
            scorers=selection.scorers,
            precision=precision,
            rotary_dtype=rotary_dtype,
            engine=job.engine,
        )
        header = _annotated_header(records.header, reference, scan, provenance, overwrite=job.overwrite)
        _report_contigs(reference, annotation, scan)
        with _open_writers(job, header, checkpoint, provenance) as writers:
            counts = run(
                records,
                intake,
                engine,
                [writer.write for writer in writers],
                lambda counts: observe(counts, total),
            )
    return JobReport(counts=counts, left_out=selection.left_out, device=device, precision=precision)


def _open_checkpoint(job: Job, scorers: Sequence[Scorer], precision: str) -> Checkpoint:
    """The job's checkpoint, in either layout, with the heads that the scorers read.

    Raises:
        UsageError: the layout and `--metadata` do not go together.
        CheckpointError: it cannot be opened.
    """
    path = resolve_checkpoint(job.checkpoint)
    wanted = {
        "organism": job.organism,
        "dtype": precision,
        "outputs": set().union(*map(needed_outputs, scorers)),
    }
    if not is_official(path):
        if job.metadata is not None:
            raise UsageError(
                f"--metadata {job.metadata}: the checkpoint {path.name} has a track table of its own",
                hint="leave out --metadata",
            )
        return load_checkpoint(path, **wanted)
    if job.metadata is None:
        raise UsageError(
            f"{path} is in the official layout, which does not name its tracks",
            hint="pass --metadata FILE (textproto), or import it once with `vepscore weights import`",
        )
    from vepscore.model.official.checkpoint import load_official  # imports Orbax, which takes a second

    return load_official(path, job.metadata, **wanted)


def _create_engine(job: Job, checkpoint: Checkpoint, scorers: Sequence[Scorer], rotary_dtype: str) -> Engine:
    options = {"rotary_dtype": rotary_dtype, "strand": job.strand, "batch": job.batch}
    if job.engine == "dense":
        return DenseEngine(checkpoint, scorers, **options)
    devices = list_devices()
    pair_bins = job.window_bp // PAIR_BIN_BP
    if job.split == "positions" and pair_bins % len(devices):
        raise UsageError(
            f"--split positions: {len(devices)} devices cannot divide a window of {job.window_bp} bp\n"
            f"expected a number of devices that divides {pair_bins}, its bins of {PAIR_BIN_BP} bp",
            hint="choose another --window, or leave out --split",
        )
    return create_sparse_engine(checkpoint, scorers, devices=devices, split=job.split, **options)


@contextlib.contextmanager
def _open_writers(
    job: Job, header: VcfHeader, checkpoint: Checkpoint, provenance: dict[str, str]
) -> Iterator[Sequence[StagedWriter]]:
    """All writers, whose files appear together."""
    writers: list[StagedWriter] = [
        LongTableWriter(name, checkpoint.tracks, provenance)
        if name.endswith(LONG_TABLE_SUFFIX)
        else AnnotatedVcfWriter(name, header, overwrite=job.overwrite)
        for name in job.outputs
    ]
    if job.table is not None:
        writers.append(AlleleTableWriter(job.table, provenance))
    with contextlib.ExitStack() as stack:
        for writer in writers:
            stack.enter_context(writer)
        yield writers
        for writer in writers:
            writer.finish()


def check_outputs(source: str, outputs: Sequence[str], table: Path | None) -> None:
    """Refuses outputs of unknown kinds, two at one place, and one in the place of the input.

    Raises:
        UsageError: a suffix is unknown, a path, or standard output, is named twice, or an output is the input.
    """
    _check_suffixes(outputs, table)
    by_place: dict[str, list[str]] = {}
    for name in [*outputs, *([str(table)] if table else [])]:
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


def _annotated_header(
    header: VcfHeader, reference: Reference, scan: Scan | None, provenance: dict[str, str], *, overwrite: bool
) -> VcfHeader:
    used = dict.fromkeys([*header.declared("contig"), *(scan.contigs if scan else ())])
    names = {reference.match(name): name for name in used if reference.match(name) is not None}
    contigs = {
        names.get(found) or _in_style(found, names): length for found, length in reference.contigs.items()
    }
    return header.with_annotation(
        provenance=provenance,
        contigs=contigs,
        body_contigs=scan.contigs if scan else None,
        overwrite=overwrite,
    )


def _report_contigs(reference: Reference, annotation: Annotation | None, scan: Scan | None) -> None:
    """Logs where files name contigs differently, by the first such contig, and contigs that have no genes."""
    if annotation is not None and scan is not None:
        on_reference = [name for name in scan.contigs if reference.match(name) is not None]
        bare = [name for name in on_reference if annotation.contigs.match(reference.match(name)) is None]
        if bare:
            shown = ", ".join(bare[:_SHOWN_CONTIGS]) + (" …" if len(bare) > _SHOWN_CONTIGS else "")
            log.warning("the annotation has no genes on %s: no scores of genes there", shown)
    files = {"VCF's %s is the reference's %s": reference.names}
    if annotation is not None:
        files["reference's %s is the annotation's %s"] = annotation.contigs
    for text, names in files.items():
        if names.aliased:
            more = f" (and {len(names.aliased) - 1} more)" if len(names.aliased) > 1 else ""
            log.info(f"contigs: the {text}%s", *min(names.aliased), more)


def _in_style(contig: str, names: Mapping[str, str]) -> str:
    """A contig of the reference as the VCF would name it, judged by `names`: from the reference's to the VCF's."""
    match = _CHROMOSOME.fullmatch(contig)
    if match is None:
        return contig
    prefix, chromosome = match.groups()
    has_chr = any(name == f"chr{found}" for found, name in names.items())
    has_none = any(found == f"chr{name}" for found, name in names.items())
    if has_chr and not prefix:
        return "chrM" if chromosome == "MT" else f"chr{chromosome}"
    if has_none and prefix:
        return "MT" if chromosome == "M" else chromosome
    return contig


def _assembly(header: VcfHeader) -> str:
    """The assembly that the VCF's header names, or nothing."""
    found = next(filter(None, map(_ASSEMBLY.search, header.meta)), None)
    return found[1] if found else ""
