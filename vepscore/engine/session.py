"""Open what a job scores with: once in its own process, or once on each worker of a cluster."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax

from vepscore.contract import Scorer
from vepscore.engine.dense import DenseEngine
from vepscore.engine.device import count_threads, default_precision, find_devices
from vepscore.engine.job import Job
from vepscore.engine.parallel import create_sparse_engine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.provenance import describe_run
from vepscore.engine.quantile_choice import find_quantiles, match_composite
from vepscore.engine.retry import RetryingEngine
from vepscore.engine.scoring import Engine
from vepscore.engine.selection import Choice, choose_scorers, needed_outputs, select_scorers
from vepscore.engine.settings import fixed_settings
from vepscore.engine.summary import signed_names
from vepscore.errors import UsageError
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.polya import PolyASites
from vepscore.io.quantiles import Quantiles
from vepscore.io.run_metadata import NamedFile, RunMetadata
from vepscore.model.checkpoint import Checkpoint, load_checkpoint, read_defaults
from vepscore.model.registry import is_official, resolve_checkpoint
from vepscore.options import ModelOptions
from vepscore.options.option_types import EngineKind, MismatchPolicy, Parallelism, Rotary
from vepscore.outputs import PAIR_BIN_BP, Output, Tracks

ChooseTracks = Callable[[Mapping[Output, Tracks]], Mapping[Output, Tracks]]  # all of a checkpoint → some


@dataclasses.dataclass(frozen=True, kw_only=True)
class SessionInfo:
    """What a session scores with. It can be sent to another process."""

    metadata: RunMetadata
    device: str
    threads: int  # of a CPU; 0 on another device
    tracks: Mapping[Output, Tracks]
    excluded: dict[str, str]  # scorer's name → why it does not run
    signed: frozenset[str]  # the scorers and fields whose scores are signed
    quantiles: Quantiles | None  # that the scores are ranked in


class Session:
    """A checkpoint and a device, ready to score. Made by `open_session`.

    Attributes:
        info: what it scores with.
        preparer: prepares alleles for the scorers of the run.
    """

    def __init__(
        self,
        info: SessionInfo,
        preparer: AllelePreparer,
        checkpoint: Checkpoint,
        build_engine: Callable[[Checkpoint], Engine],
    ) -> None:
        self.info = info
        self.preparer = preparer
        self._checkpoint: Checkpoint | None = checkpoint
        self._build_engine = build_engine

    def create_engine(self) -> Engine:
        """Create the engine. It takes the network over, so this can be called once only."""
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is None:
            raise RuntimeError("the session's engine was created before")
        return self._build_engine(checkpoint)


def open_preparer(job: Job, *, source: str, assembly: str) -> AllelePreparer:
    """Open a job's reference and annotation.

    Args:
        job: the options, from `resolve_defaults`.
        source: the name of the VCF, for messages.
        assembly: what the VCF's header says of it, for messages.

    Raises:
        GenomeError: the reference cannot be read.
        AnnotationError: the annotation cannot be read.
        CheckpointError: the checkpoint is missing, or its `config.json` is damaged.
    """
    genome, alleles = job.genome, job.alleles
    return AllelePreparer(
        reference=Reference(genome.reference, cache_dir()),
        window_bp=job.window_bp,
        align_bp=job.windows.align,
        annotation=Annotation.from_gtf(genome.genes, cache_dir()) if genome.genes else None,
        polya=PolyASites.from_tsv(genome.polya) if genome.polya else None,
        on_mismatch=alleles.on_ref_mismatch or MismatchPolicy.SKIP,
        as_written=alleles.as_written,
        indel_anchor=alleles.indel_anchor or read_defaults(job.model.checkpoint).indel_anchor,
        assembly=assembly,
        source=source,
    )


def open_session(
    job: Job,
    preparer: AllelePreparer,
    *,
    scorers: Sequence[Scorer] | None = None,
    choose_tracks: ChooseTracks | None = None,
) -> Session:
    """Open a job's checkpoint on its device. Changes no setting of the process; see `vepscore.engine.settings`.

    Args:
        job: the options, from `resolve_defaults`.
        preparer: prepares the job's alleles.
        scorers: those to run, whose scores are not ranked in a background; None for those that the job names, or the
            checkpoint's defaults.
        choose_tracks: returns the tracks to predict; None for all.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    devices = find_devices(job.compute.device)
    precision = str(job.model.precision or default_precision(devices[0].platform))
    with fixed_settings(precision, devices[0]):
        return _open_session(job, preparer, devices, precision, scorers, choose_tracks)


def _open_session(
    job: Job,
    preparer: AllelePreparer,
    devices: Sequence[jax.Device],
    precision: str,
    scorers: Sequence[Scorer] | None,
    choose_tracks: ChooseTracks | None,
) -> Session:
    """Open a session on these devices, within `fixed_settings`; the other arguments are those of `open_session`."""
    if scorers is None:
        choice = choose_scorers(job.scoring.scorers, read_defaults(job.model.checkpoint).scorers)
    else:
        choice = Choice(scorers=tuple(scorers))

    def open_checkpoint(precision: str) -> Checkpoint:
        checkpoint = _open_checkpoint(job.model, choice.scorers, precision)
        if choose_tracks is None:
            return checkpoint
        return dataclasses.replace(checkpoint, tracks=choose_tracks(checkpoint.tracks))

    checkpoint = open_checkpoint(precision)
    selection = select_scorers(
        choice,
        checkpoint,
        has_genes=preparer.annotation is not None,
        has_polya=preparer.polya is not None,
    )
    rotary_dtype = (
        checkpoint.config.rotary_dtype if job.model.rotary is Rotary.AUTO else str(job.model.rotary)
    )
    metadata = describe_run(
        job,
        preparer,
        checkpoint,
        scorers=selection.scorers,
        on_request=selection.on_request,
        precision=precision,
        rotary_dtype=rotary_dtype,
    )
    quantiles = find_quantiles(job, metadata) if scorers is None else None
    if quantiles is not None:
        quantiles = match_composite(quantiles, selection.scorers)
        metadata = dataclasses.replace(metadata, quantiles=NamedFile(quantiles.name, quantiles.digest))
    device = devices[0].platform
    info = SessionInfo(
        metadata=metadata,
        device=device,
        threads=count_threads() if device == "cpu" else 0,
        tracks=checkpoint.tracks,
        excluded=selection.excluded,
        signed=signed_names(selection.scorers),
        quantiles=quantiles,
    )

    def build(checkpoint: Checkpoint, precision: str) -> Engine:
        with fixed_settings(precision, devices[0]):
            return _create_engine(job, checkpoint, selection.scorers, rotary_dtype, devices)

    def build_exact() -> Engine:
        with fixed_settings("float32", devices[0]):
            exact = open_checkpoint("float32")
        return build(exact, "float32")

    def build_engine(checkpoint: Checkpoint) -> Engine:
        engine = build(checkpoint, precision)
        return engine if precision == "float32" else RetryingEngine(engine, build_exact)

    return Session(
        info=info,
        preparer=dataclasses.replace(preparer, scorers=selection.scorers),
        checkpoint=checkpoint,
        build_engine=build_engine,
    )


def _open_checkpoint(options: ModelOptions, scorers: Sequence[Scorer], precision: str) -> Checkpoint:
    """Open a checkpoint, in either layout, with the heads that the scorers read.

    Raises:
        UsageError: the layout and `--metadata` contradict one another.
        CheckpointError: it cannot be opened.
    """
    path = resolve_checkpoint(options.checkpoint)
    organism = str(options.organism)
    outputs = {output for scorer in scorers for output in needed_outputs(scorer)}
    if not is_official(path):
        if options.metadata is not None:
            raise UsageError(
                f"--metadata {options.metadata}: the checkpoint {path.name} has a track table of its own",
                hint="omit --metadata",
            )
        return load_checkpoint(path, organism=organism, dtype=precision, outputs=outputs)
    if options.metadata is None:
        raise UsageError(
            f"{path} is in the official layout, which does not name its tracks",
            hint="pass --metadata FILE (textproto), or import it once with `vepscore weights import`",
        )
    from vepscore.model.official.orbax_checkpoint import load_official  # imports Orbax, which takes a second

    return load_official(path, options.metadata, organism=organism, dtype=precision, outputs=outputs)


def _create_engine(
    job: Job,
    checkpoint: Checkpoint,
    scorers: Sequence[Scorer],
    rotary_dtype: str,
    devices: Sequence[jax.Device],
) -> Engine:
    options, strand = job.compute, job.windows.strand.sign
    if options.engine is EngineKind.DENSE:
        return DenseEngine(checkpoint, scorers, rotary_dtype=rotary_dtype, strand=strand, batch=options.batch)
    pair_bins = job.window_bp // PAIR_BIN_BP
    divides_positions = options.parallelism is Parallelism.SEQUENCE
    if divides_positions and pair_bins % len(devices):
        raise UsageError(
            f"--parallelism sequence: {len(devices)} devices cannot divide a window of {job.window_bp} bp\n"
            f"expected a number of devices that divides {pair_bins}, its bins of {PAIR_BIN_BP} bp",
            hint="choose another --window, or omit --parallelism",
        )
    return create_sparse_engine(
        checkpoint,
        scorers,
        devices=devices,
        split="positions" if divides_positions else "windows",
        rotary_dtype=rotary_dtype,
        strand=strand,
        batch=options.batch,
    )
