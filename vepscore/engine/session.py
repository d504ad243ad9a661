"""What a job scores with, opened once: in its own process, and on each worker of a cluster."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import jax

from vepscore.contract import Scorer
from vepscore.engine.dense import DenseEngine
from vepscore.engine.device import count_threads, default_precision, find_devices
from vepscore.engine.job import Job
from vepscore.engine.parallel import create_sparse_engine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.provenance import SCORERS_KEY, describe_run
from vepscore.engine.quantile_choice import QUANTILES_KEY, find_quantiles, match_composite
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
from vepscore.model.checkpoint import Checkpoint, load_checkpoint
from vepscore.model.defaults import read_defaults
from vepscore.model.registry import is_official, resolve_checkpoint
from vepscore.outputs import PAIR_BIN_BP, Output, Tracks
from vepscore.paths import escape_bytes

ChooseTracks = Callable[[Mapping[Output, Tracks]], Mapping[Output, Tracks]]  # from a checkpoint's, some


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What a job scores with, as its outputs tell it."""

    provenance: dict[str, str]
    device: str
    threads: int  # of a CPU; 0 on another device
    precision: str
    tracks: Mapping[Output, Tracks]
    excluded: dict[str, str]  # scorer's name to why it was left out
    signed: frozenset[str]  # the scorers and fields whose scores are signed
    quantiles: Quantiles | None  # of the background that the scores are ranked in

    @property
    def scorers(self) -> list[str]:
        """Names of the scorers that run."""
        return self.provenance[SCORERS_KEY].split(",")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """A checkpoint and a device, ready to score."""

    facts: Facts
    preparer: AllelePreparer  # that knows the scorers of the run
    create_engine: Callable[[], Engine]  # once


def open_preparer(job: Job, *, source: str, assembly: str) -> AllelePreparer:
    """Open a job's reference and annotation.

    Args:
        job: the options.
        source: the name of the VCF, for messages.
        assembly: what the VCF's header says of it, for messages.

    Raises:
        GenomeError: the reference cannot be read.
        AnnotationError: the annotation cannot be read.
        CheckpointError: the checkpoint is missing, or its `config.json` is damaged.
    """
    return AllelePreparer(
        reference=Reference(job.reference, cache_dir()),
        window_bp=job.window_bp,
        align_bp=job.align_bp,
        annotation=Annotation.from_gtf(job.genes, cache_dir()) if job.genes else None,
        polya=PolyASites.from_tsv(job.polya) if job.polya else None,
        on_mismatch=job.on_mismatch,
        as_written=job.as_written,
        indel_anchor=job.indel_anchor or read_defaults(job.checkpoint).indel_anchor,
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
    """Opens a job's checkpoint on its device. Changes no setting of the process; see `vepscore.engine.settings`.

    Args:
        job: the options.
        preparer: what the job's alleles are prepared by.
        scorers: those to make scores with; None for those that the job names, or the checkpoint's defaults.
        choose_tracks: which tracks are predicted; None for all.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    devices = find_devices(job.device)
    precision = job.precision or default_precision(devices[0].platform)
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
        choice = choose_scorers(job.scorers, read_defaults(job.checkpoint).scorers)
    else:
        choice = Choice(scorers=tuple(scorers))

    def open_checkpoint(precision: str) -> Checkpoint:
        checkpoint = _open_checkpoint(job, choice.scorers, precision)
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
    rotary_dtype = checkpoint.config.rotary_dtype if job.rotary == "auto" else job.rotary
    provenance = describe_run(
        job,
        preparer,
        checkpoint,
        scorers=selection.scorers,
        on_request=selection.on_request,
        precision=precision,
        rotary_dtype=rotary_dtype,
    )
    quantiles = find_quantiles(job, provenance)
    if quantiles is not None:
        quantiles = match_composite(quantiles, selection.scorers)
        provenance[QUANTILES_KEY] = f"{escape_bytes(quantiles.name)} sha256:{quantiles.digest}"
    device = devices[0].platform
    facts = Facts(
        provenance=provenance,
        device=device,
        threads=count_threads() if device == "cpu" else 0,
        precision=precision,
        tracks=checkpoint.tracks,
        excluded=selection.excluded,
        signed=signed_names(selection.scorers),
        quantiles=quantiles,
    )
    networks = [checkpoint]  # given away, so that the engine alone has it

    def create_engine() -> Engine:
        with fixed_settings(precision, devices[0]):
            engine = _create_engine(job, networks.pop(), selection.scorers, rotary_dtype, devices)
        return engine if precision == "float32" else RetryingEngine(engine, create_exact_engine)

    def create_exact_engine() -> Engine:
        with fixed_settings("float32", devices[0]):
            exact = open_checkpoint("float32")
            return _create_engine(job, exact, selection.scorers, rotary_dtype, devices)

    return Session(
        facts=facts,
        preparer=dataclasses.replace(preparer, scorers=selection.scorers),
        create_engine=create_engine,
    )


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
    from vepscore.model.official.orbax_checkpoint import load_official  # imports Orbax, which takes a second

    return load_official(path, job.metadata, **wanted)


def _create_engine(
    job: Job,
    checkpoint: Checkpoint,
    scorers: Sequence[Scorer],
    rotary_dtype: str,
    devices: Sequence[jax.Device],
) -> Engine:
    options = {"rotary_dtype": rotary_dtype, "strand": job.strand, "batch": job.batch}
    if job.engine == "dense":
        return DenseEngine(checkpoint, scorers, **options)
    pair_bins = job.window_bp // PAIR_BIN_BP
    if job.split == "positions" and pair_bins % len(devices):
        raise UsageError(
            f"--split positions: {len(devices)} devices cannot divide a window of {job.window_bp} bp\n"
            f"expected a number of devices that divides {pair_bins}, its bins of {PAIR_BIN_BP} bp",
            hint="choose another --window, or leave out --split",
        )
    return create_sparse_engine(checkpoint, scorers, devices=devices, split=job.split, **options)
