"""Open what a job scores with: once in its own process, or once on each worker of a cluster."""

import dataclasses
import logging
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence

import jax

from vepscore.contract import Scorer
from vepscore.engine.dense import DenseEngine
from vepscore.engine.device import find_devices
from vepscore.engine.job import Job, check_windows, resolve_precision
from vepscore.engine.parallel import create_sparse_engine
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.provenance import describe_run
from vepscore.engine.quantile_choice import find_quantiles, match_composite
from vepscore.engine.scored_records import score_records
from vepscore.engine.scoring import AlleleScores, Engine, NotFiniteError
from vepscore.engine.selection import Choice, choose_scorers, select_scorers
from vepscore.engine.settings import fixed_settings
from vepscore.engine.summary import signed_names
from vepscore.errors import UsageError
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.genome.fasta import Reference
from vepscore.genome.polya import PolyASites
from vepscore.io.journal import Journal
from vepscore.io.quantiles import Quantiles
from vepscore.io.records import Record
from vepscore.io.results import RecordResult
from vepscore.io.run_metadata import NamedFile, RunMetadata
from vepscore.model.allele_plan import ReadyAllele, needed_outputs
from vepscore.model.checkpoint import Checkpoint, load_checkpoint, read_defaults
from vepscore.model.family import find_family
from vepscore.model.network import DeltaRules
from vepscore.model.registry import OFFICIAL_FAMILY, is_official, resolve_checkpoint
from vepscore.options import ModelOptions
from vepscore.options.option_types import EngineKind, MismatchPolicy, Parallelism, Rotary
from vepscore.outputs import PAIR_BIN_BP, Output, Tracks
from vepscore.threads import count_threads

log = logging.getLogger(__name__)

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """A checkpoint and a device, ready to score. Made by `open_session`.

    Attributes:
        info: what it scores with.
        preparer: prepares alleles for the scorers of the run.
        create_engine: creates the engine. It takes the network over, so it can be called once only.
        keep_matrices: keep all scores in results, and not only their summary.
    """

    info: SessionInfo
    preparer: AllelePreparer
    create_engine: Callable[[], Engine]
    keep_matrices: bool

    def score(
        self, records: Iterable[Record], journal: Journal | None
    ) -> Generator[list[RecordResult], None, None]:
        """Yield the results of the records in their order, some at a time; those in the journal come from it."""
        return score_records(
            records, self.preparer, self.create_engine(), journal=journal, keep_matrices=self.keep_matrices
        )


class RetryingEngine:
    """An engine with a fallback in float32, which is created when it is first needed.

    Args:
        engine: scores all alleles.
        create_exact: creates the fallback; called at most once.
    """

    def __init__(self, engine: Engine, create_exact: Callable[[], Engine]) -> None:
        self.scorers, self.tracks, self.batch = engine.scorers, engine.tracks, engine.batch
        self._engine = engine
        self._create_exact = create_exact
        self._exact: Engine | None = None

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """Return the score matrices of each allele; an error if neither engine returns finite numbers."""
        results = self._engine.score(alleles)
        return [
            self._score_exactly(allele) if isinstance(result, NotFiniteError) else result
            for allele, result in zip(alleles, results, strict=True)
        ]

    def _score_exactly(self, allele: ReadyAllele) -> AlleleScores:
        site = allele.site.allele
        log.info("%s:%d %s>%s is scored again in float32", site.chrom, site.pos0 + 1, site.ref, site.alt)
        if self._exact is None:
            self._exact = self._create_exact()
        (result,) = self._exact.score([allele])
        return result


def open_preparer(job: Job, *, source: str, assembly: str) -> AllelePreparer:
    """Open the reference and annotation of a job from `resolve_defaults`; for the others, see `AllelePreparer`.

    Raises:
        UsageError: the network cannot read such windows.
        GenomeError: the reference cannot be read.
        AnnotationError: the annotation cannot be read.
        CheckpointError: the checkpoint is missing, or its `config.json` is damaged.
    """
    genome, alleles = job.genome, job.alleles
    defaults = read_defaults(job.model.checkpoint)
    check_windows(job, defaults)
    return AllelePreparer(
        reference=Reference(genome.reference, cache_dir()),
        window_bp=job.window_bp,
        margin_bp=defaults.context.margin_bp,
        resolutions=defaults.resolutions,
        align_bp=job.windows.align,
        annotation=Annotation.from_gtf(genome.genes, cache_dir()) if genome.genes else None,
        polya=PolyASites.from_tsv(genome.polya) if genome.polya else None,
        on_mismatch=alleles.on_ref_mismatch or MismatchPolicy.SKIP,
        as_written=alleles.as_written or defaults.as_written,
        indel_anchor=alleles.indel_anchor or defaults.indel_anchor,
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
    rules = DeltaRules(distance_bp=job.scoring.spliceai_distance, masked=job.scoring.spliceai_mask == 1)
    device = devices[0]
    precision = str(resolve_precision(job, device.platform))
    with fixed_settings(precision, device):
        if scorers is None:
            choice = choose_scorers(job.scoring.scorers, read_defaults(job.model.checkpoint).scorers)
        else:
            choice = Choice(scorers=tuple(scorers))
        checkpoint = _open_checkpoint(job.model, choice.scorers, precision, choose_tracks, rules)
    has_genes, has_polya = preparer.annotation is not None, preparer.polya is not None
    selection = select_scorers(choice, checkpoint, has_genes=has_genes, has_polya=has_polya)
    metadata = describe_run(
        job,
        preparer,
        checkpoint,
        scorers=selection.scorers,
        on_request=selection.on_request,
        precision=precision,
        rotary_dtype=checkpoint.network.rotary_dtype,
    )
    quantiles = find_quantiles(job, metadata) if scorers is None else None
    if quantiles is not None:
        quantiles = match_composite(quantiles, selection.scorers)
        metadata = dataclasses.replace(metadata, quantiles=NamedFile(quantiles.name, quantiles.digest))
    info = SessionInfo(
        metadata=metadata,
        device=device.platform,
        threads=count_threads() if device.platform == "cpu" else 0,
        tracks=checkpoint.tracks,
        excluded=selection.excluded,
        signed=signed_names(selection.scorers),
        quantiles=quantiles,
    )
    opened = [checkpoint]  # until the engine takes it over

    def create_exact() -> Engine:
        with fixed_settings("float32", device):
            exact = _open_checkpoint(job.model, choice.scorers, "float32", choose_tracks, rules)
            return _create_engine(job, exact, selection.scorers, devices)

    def create_engine() -> Engine:
        with fixed_settings(precision, device):
            engine = _create_engine(job, opened.pop(), selection.scorers, devices)
        return engine if precision == "float32" else RetryingEngine(engine, create_exact)

    return Session(
        info=info,
        preparer=dataclasses.replace(preparer, scorers=checkpoint.network.replace_own(selection.scorers)),
        create_engine=create_engine,
        keep_matrices=job.keeps_all_scores,
    )


def _open_checkpoint(
    options: ModelOptions,
    scorers: Sequence[Scorer],
    precision: str,
    choose_tracks: ChooseTracks | None,
    rules: DeltaRules,
) -> Checkpoint:
    """Open a checkpoint, in either layout, with the heads that the scorers read and the tracks that are chosen.

    Raises:
        UsageError: the layout and `--metadata` contradict one another.
        CheckpointError: it cannot be opened.
    """
    path = resolve_checkpoint(options.checkpoint)
    organism = str(options.organism)
    outputs = {output for scorer in scorers for output in needed_outputs(scorer)}
    if is_official(path):
        if options.metadata is None:
            raise UsageError(
                f"{path} is in the official layout, which does not name its tracks",
                hint="pass --metadata FILE (textproto), or import it once with `vepscore weights import`",
            )
        checkpoint = find_family(OFFICIAL_FAMILY).load_official(
            path, options.metadata, organism=organism, dtype=precision, outputs=outputs
        )
    elif options.metadata is not None:
        raise UsageError(
            f"--metadata {options.metadata}: the checkpoint {path.name} has a track table of its own",
            hint="omit --metadata",
        )
    else:
        checkpoint = load_checkpoint(path, organism=organism, dtype=precision, outputs=outputs)
    if options.rotary is not Rotary.AUTO:
        checkpoint.network.rotary_dtype = str(options.rotary)
    checkpoint.network.delta_rules = rules
    if choose_tracks is None:
        return checkpoint
    return dataclasses.replace(checkpoint, tracks=choose_tracks(checkpoint.tracks))


def _create_engine(
    job: Job,
    checkpoint: Checkpoint,
    scorers: Sequence[Scorer],
    devices: Sequence[jax.Device],
) -> Engine:
    options, strand = job.compute, job.windows.strand.sign
    if options.engine is EngineKind.DENSE:
        return DenseEngine(checkpoint, scorers, strand=strand, batch=options.batch)
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
        divides_positions=divides_positions,
        strand=strand,
        batch=options.batch,
    )
