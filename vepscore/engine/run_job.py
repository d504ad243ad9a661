"""One scoring job from its options to its outputs: what `vepscore score` does."""

import contextlib
import gc
import itertools
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from vepscore.engine.file_checks import compare_files
from vepscore.engine.job import LONG_TABLE_SUFFIX, Job, Saturation, check_outputs
from vepscore.engine.job_report import JobReport, summarize_job
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.provenance import COMMAND_KEY
from vepscore.engine.scored_records import RunCounts, run, score_records
from vepscore.engine.selection import ON_REQUEST
from vepscore.engine.session import Facts, open_preparer, open_session
from vepscore.engine.shards import records_of
from vepscore.errors import InputError, UsageError
from vepscore.genome.cache import file_digest, file_stamp
from vepscore.genome.consistency import check_record_contigs
from vepscore.genome.fasta import Reference
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.atomic import StagedWriter, remove_leftovers
from vepscore.io.fields import EVENTS_SCORER
from vepscore.io.header import VcfHeader
from vepscore.io.header_contigs import stated_assembly
from vepscore.io.journal import Journal, open_journal
from vepscore.io.json_file import JsonWriter
from vepscore.io.lines import STDIN
from vepscore.io.long_table import LongTableWriter
from vepscore.io.parts import SHARD_KEY
from vepscore.io.quantile_writer import BackgroundWriter
from vepscore.io.quantiles import Quantiles
from vepscore.io.records import Record, Scan, open_records, scan_records
from vepscore.io.results import RecordResult
from vepscore.io.saturation_figure import SaturationFigureWriter
from vepscore.io.saturation_table import SaturationWriter
from vepscore.io.spliceai import SpliceAiWriter, spliceai_header
from vepscore.io.vcf import AnnotatedVcfWriter
from vepscore.paths import escape_bytes
from vepscore.versions import versions

log = logging.getLogger(__name__)

_CHROMOSOME = re.compile(r"(chr)?(\d{1,2}|[XYWZM]|MT)")


def run_job(job: Job, observe: Callable[[RunCounts, int | None], None]) -> JobReport:
    """Runs a job; its outputs appear whole at the end, or not at all.

    Args:
        job: the options.
        observe: called at the start and after each record, with the counts so far and the number of records,
            where it is known.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    started = time.monotonic()
    check_outputs(job)
    stamps = _stamps(job)
    scan = scan_records(job.source)
    observe(RunCounts(), scan.records if scan else None)
    with contextlib.ExitStack() as stack:
        records = stack.enter_context(open_records(job.source))
        preparer = open_preparer(job, source=records.name, assembly=stated_assembly(records.header))
        facts, preparer, score = stack.enter_context(_open_scoring(job, preparer))
        _check_events(job, facts)
        _log_scorers(job, facts)
        input_digest = "unknown" if scan is None else file_digest(job.source)
        part = _part(job, preparer)
        provenance = facts.provenance | _part_facts(job, part, input_digest)
        provenance |= _background_facts(job, input_digest)
        header = _annotated_header(
            records.header,
            preparer.reference,
            scan,
            provenance,
            overwrite=job.overwrite,
            ranked=facts.quantiles is not None,
        )
        warnings = compare_files(records.header, preparer, scan)
        total = len(part) if part is not None else scan.records if scan else None
        report = JobReport(
            counts=RunCounts(),
            excluded=facts.excluded,
            warnings=warnings,
            device=facts.device,
            threads=facts.threads,
            precision=facts.precision,
            opening_seconds=time.monotonic() - started,
        )
        if part is not None:
            observe(report.counts, total)
        places: Counter[str] = Counter()  # contigs of records, where they are not known beforehand
        taken = _in_part(records, part) if scan else _counted(records, places)
        with (
            _collecting_new_garbage_only(),
            _open_journal(job, facts, provenance, input_digest) as journal,
            _open_writers(job, header, facts, provenance) as (summary, writers),
            contextlib.closing(score(taken, journal)) as results,
        ):
            run(
                results,
                journal,
                _writes(writers, facts.quantiles),
                report.counts,
                lambda counts: observe(counts, total),
            )
            _check_unchanged(stamps, journal)
            report.warnings.extend(check_record_contigs(places, unit="records", reference=preparer.reference))
            if summary is not None:
                summary.write(summarize_job(job, report, provenance, input_digest=input_digest))
    return report


@contextlib.contextmanager
def _collecting_new_garbage_only() -> Iterator[None]:
    """Going over all that is open by now takes a third of the time of records that are only passed on."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


_Score = Callable[[Iterable[Record], Journal | None], Generator[list[RecordResult], None, None]]


@contextlib.contextmanager
def _open_scoring(job: Job, preparer: AllelePreparer) -> Iterator[tuple[Facts, AllelePreparer, _Score]]:
    """Open what records are scored with, here or on the workers of a cluster.

    Yields:
        The facts, the preparer that knows the scorers of the run, and the function that scores.
    """
    if job.cluster is not None:
        from vepscore.engine.cluster import open_cluster

        with open_cluster(job, preparer) as cluster:
            yield cluster.facts, cluster.preparer, cluster.score
        return
    session = open_session(job, preparer)

    def score(
        records: Iterable[Record], journal: Journal | None
    ) -> Generator[list[RecordResult], None, None]:
        engine = session.create_engine()
        return score_records(
            records, session.preparer, engine, journal=journal, keep_matrices=job.keeps_matrices
        )

    yield session.facts, session.preparer, score


def _check_events(job: Job, facts: Facts) -> None:
    """Raises UsageError where the output that needs splice events is asked for, and nothing scores them."""
    if job.spliceai is not None and EVENTS_SCORER not in facts.scorers:
        reason = facts.excluded.get(EVENTS_SCORER, "is not among the scorers asked for")
        raise UsageError(
            f"--spliceai {job.spliceai}: nothing to write there\n{EVENTS_SCORER}: {reason}",
            hint=f"leave out --spliceai, or add -s {EVENTS_SCORER}",
        )


def _log_scorers(job: Job, facts: Facts) -> None:
    """Log which scorers run and which do not, if the checkpoint chose them."""
    on_request = [name for name, reason in facts.excluded.items() if reason == ON_REQUEST]
    if job.scorers is None and on_request:
        log.info("scorers: %s; not run: %s (%s)", ", ".join(facts.scorers), ", ".join(on_request), ON_REQUEST)


def _part(job: Job, preparer: AllelePreparer) -> range | None:
    """The records of the job's shard; None where it has them all.

    Raises:
        UsageError: the input can be read only once.
    """
    if job.shard is None:
        return None
    if job.source == STDIN or not Path(job.source).is_file():
        raise UsageError(
            f"--shard {job.shard}: {job.source} can be read only once, and dividing it needs two passes",
            hint="write the input to a file first",
        )
    with open_records(job.source) as records:
        return records_of(job.shard, records, preparer)


def _in_part(records: Iterable[Record], part: range | None) -> Iterable[Record]:
    return records if part is None else itertools.islice(records, part.start, part.stop)


def _counted(records: Iterable[Record], places: Counter[str]) -> Iterator[Record]:
    """Yield the records, and count them by contig."""
    for record in records:
        places[record.chrom] += 1
        yield record


def _part_facts(job: Job, part: range | None, input_digest: str) -> dict[str, str]:
    """What `vepscore merge` needs to know of a shard."""
    if part is None:
        return {}
    return {SHARD_KEY: f"{job.shard} records {part.start} to {part.stop} of sha256:{input_digest}"}


def _background_facts(job: Job, input_digest: str) -> dict[str, str]:
    """What quantiles say of the background that they are of."""
    if job.background is None:
        return {}
    return {
        "vepscoreInput": f"{escape_bytes(Path(job.source).name)} sha256:{input_digest}",
        "vepscoreVersions": ", ".join(f"{name} {version}" for name, version in versions().items()),
    }


@contextlib.contextmanager
def _open_journal(
    job: Job, facts: Facts, provenance: Mapping[str, str], input_digest: str
) -> Iterator[Journal | None]:
    """The journal beside the first output that is a regular file; None where there is none."""
    if not job.files:
        yield None
        return
    scored_with = {key: value for key, value in provenance.items() if key != COMMAND_KEY}
    scored_with |= {
        "input": input_digest,
        "device": facts.device,
        "threads (NPROC)": str(facts.threads),
        "devices": job.split,
        "scores": "all" if job.keeps_matrices else "largest",
    }
    with open_journal(Path(job.files[0]), scored_with, resume=job.resume) as journal:
        for name in job.files:
            remove_leftovers(name)
        if len(journal):
            log.info("going on with a run that was cut off: %d records are scored", len(journal))
        try:
            yield journal
        except BaseException:
            if not journal.is_empty:
                log.info("what was scored is kept: the same command goes on from there")
            raise


def _stamps(job: Job) -> dict[Path, str]:
    """What identifies the files that are read, by their path."""
    files = [Path(job.source), job.reference, job.genes, job.polya]
    return {path: file_stamp(path) for path in files if path is not None and path.is_file()}


def _check_unchanged(stamps: Mapping[Path, str], journal: Journal | None) -> None:
    """Raises InputError where a file is not the one that the run began with; what was scored is forgotten then."""
    for path, stamp in stamps.items():
        if not path.is_file() or file_stamp(path) != stamp:
            if journal is not None:
                journal.clear()
            raise InputError(
                f"{path}\nhas changed while it was read; nothing was written",
                hint="run again with files at rest",
            )


@contextlib.contextmanager
def _open_writers(
    job: Job, header: VcfHeader, facts: Facts, provenance: Mapping[str, str]
) -> Iterator[tuple[JsonWriter | None, Sequence[StagedWriter]]]:
    """The summary, if any, and the writers of results; their files appear together."""
    ranked = facts.quantiles is not None
    writers: list[StagedWriter] = [
        LongTableWriter(name, facts.tracks, provenance, facts.quantiles)
        if name.endswith(LONG_TABLE_SUFFIX)
        else AnnotatedVcfWriter(name, header, overwrite=job.overwrite, ranked=ranked)
        for name in job.outputs
    ]
    if job.table is not None:
        writers.append(AlleleTableWriter(job.table, provenance, ranked=ranked))
    if job.spliceai is not None:
        writers.append(SpliceAiWriter(job.spliceai, spliceai_header(header, provenance)))
    if job.background is not None:
        writers.append(BackgroundWriter(job.background, facts.tracks, facts.signed, provenance))
    if job.saturation is not None:
        writers += _saturation_writers(job.saturation, provenance)
    summary = None if job.summary is None else JsonWriter(job.summary)
    with contextlib.ExitStack() as stack:
        opened = [*writers, *([summary] if summary else [])]
        for writer in opened:
            stack.enter_context(writer)
        yield summary, writers
        for writer in opened:
            writer.finish()


def _saturation_writers(saturation: Saturation, provenance: Mapping[str, str]) -> Iterator[StagedWriter]:
    yield SaturationWriter(saturation.table, provenance)
    if saturation.picture is not None:
        yield SaturationFigureWriter(
            saturation.picture,
            scorer=saturation.by,
            chrom=saturation.chrom,
            start0=saturation.start0,
            reference=saturation.bases,
        )


def _writes(
    writers: Sequence[StagedWriter], quantiles: Quantiles | None
) -> list[Callable[[RecordResult], None]]:
    """What takes each result. Fields are ranked once for all writers; the journal has the scores alone."""
    if quantiles is None:
        return [writer.write for writer in writers]

    def write(result: RecordResult) -> None:
        ranked = quantiles.rank_fields(result)
        for writer in writers:
            writer.write(ranked)

    return [write]


def _annotated_header(
    header: VcfHeader,
    reference: Reference,
    scan: Scan | None,
    provenance: Mapping[str, str],
    *,
    overwrite: bool,
    ranked: bool,
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
        ranked=ranked,
    )


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
