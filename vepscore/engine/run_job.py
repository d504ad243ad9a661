"""Run one scoring job from its options to its outputs: what `vepscore score` does."""

import contextlib
import dataclasses
import gc
import logging
import platform
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from vepscore.engine.annotated_header import name_contigs
from vepscore.engine.cluster import Cluster, open_cluster
from vepscore.engine.file_checks import compare_files
from vepscore.engine.job import Job, check_outputs, resolve_defaults
from vepscore.engine.job_source import JobSource, open_source
from vepscore.engine.scored_records import RunCounts, write_results
from vepscore.engine.session import Session, SessionInfo, open_preparer, open_session
from vepscore.genome.consistency import FileWarning, check_record_contigs
from vepscore.io.atomic import remove_leftovers
from vepscore.io.header import stated_assembly
from vepscore.io.journal import Journal, open_journal
from vepscore.io.output_file import WriterContext
from vepscore.io.results import RecordResult, ResultWriter
from vepscore.io.run_metadata import ON_REQUEST, RunMetadata
from vepscore.io.staged_writer import TextWriter, to_json
from vepscore.versions import versions

log = logging.getLogger(__name__)

Observe = Callable[[RunCounts, int | None], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobReport:
    """What a finished job did."""

    counts: RunCounts
    excluded: dict[str, str]  # scorer's name → why it does not run
    warnings: list[FileWarning]  # about files that do not match one another
    device: str
    threads: int  # of a CPU; 0 on another device
    precision: str
    opening_seconds: float  # until the first record was taken


def run_job(job: Job, observe: Observe = lambda counts, total: None) -> JobReport:
    """Run a job; its outputs appear whole at the end, or not at all.

    Args:
        job: the options.
        observe: called at the start and after each record, with the counts so far and the number of records, or None
            if that is not known.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    started = time.monotonic()
    job = resolve_defaults(job)
    check_outputs(job)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_source(job))
        observe(RunCounts(), source.count(None))
        scoring = stack.enter_context(_open_scoring(job, source))
        part = source.find_part(scoring.preparer)
        total = source.count(part)
        context = _describe_outputs(job, source, scoring, part)
        info = scoring.info
        report = JobReport(
            counts=RunCounts(),
            excluded=info.excluded,
            warnings=compare_files(source.reader.header, scoring.preparer, source.scan),
            device=info.device,
            threads=info.threads,
            precision=info.metadata.precision,
            opening_seconds=time.monotonic() - started,
        )
        if part is not None:
            observe(report.counts, total)
        stack.enter_context(_collecting_new_garbage_only())
        journal = stack.enter_context(_open_journal(job, info, context.metadata, source.digest))
        summary, writers = stack.enter_context(_open_writers(job, context))
        results = stack.enter_context(contextlib.closing(scoring.score(source.take(part), journal)))

        def write(result: RecordResult) -> None:
            """Hand a result to all writers, ranked in the quantiles; the journal has scores alone."""
            ranked = result if info.quantiles is None else info.quantiles.rank_fields(result)
            for writer in writers:
                writer.write(ranked)

        write_results(results, journal, [write], report.counts, lambda counts: observe(counts, total))
        source.check_unchanged(journal)
        reference = scoring.preparer.reference
        report.warnings.extend(check_record_contigs(source.contigs, unit="records", reference=reference))
        if summary is not None:
            document = _summarize(job, report, context.metadata, input_digest=source.digest)
            summary.write([to_json(document)])
    return report


@contextlib.contextmanager
def _open_scoring(job: Job, source: JobSource) -> Iterator[Session | Cluster]:
    """Open what scores the records, here or on the workers of a cluster.

    Raises:
        UsageError: an output needs a scorer that does not run.
        VepscoreError: anything else that the user can act on.
    """
    reader = source.reader
    preparer = open_preparer(job, source=reader.name, assembly=stated_assembly(reader.header))
    with contextlib.ExitStack() as stack:
        scoring: Session | Cluster
        if job.run.cluster is None:
            scoring = open_session(job, preparer)
        else:
            scoring = stack.enter_context(open_cluster(job, job.run.cluster, preparer))
        for output in job.outputs:
            output.check_scorers(scoring.info.metadata.scorers, scoring.info.excluded)
        metadata = scoring.info.metadata
        if job.scoring.scorers is None and metadata.scorers_not_run:
            names, others = ", ".join(metadata.scorers), ", ".join(metadata.scorers_not_run)
            log.info("scorers: %s; not run: %s (%s)", names, others, ON_REQUEST)
        yield scoring


def _describe_outputs(
    job: Job, source: JobSource, scoring: Session | Cluster, part: range | None
) -> WriterContext:
    """Return what the writers of a job need to know."""
    info = scoring.info
    metadata = dataclasses.replace(info.metadata, shard=source.describe_part(part))
    for output in job.outputs:
        metadata = output.complete(metadata, source.job.source, source.digest)
    header, scan, overwrite = source.reader.header, source.scan, job.run.overwrite_existing
    used = [*header.declared("contig"), *(scan.counts if scan else ())]
    annotated = header.with_annotation(
        provenance=metadata.to_header(),
        contigs=name_contigs(scoring.preparer.reference, used),
        body_contigs=scan.counts if scan else None,
        overwrite=overwrite,
        ranked=info.quantiles is not None,
    )
    return WriterContext(
        metadata=metadata,
        header=annotated,
        tracks=info.tracks,
        signed=info.signed,
        quantiles=info.quantiles,
        overwrite=overwrite,
    )


@contextlib.contextmanager
def _collecting_new_garbage_only() -> Iterator[None]:
    """Exempt from garbage collection what is open by now: it would take a third of the time of unscored records."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def journal_key(job: Job, info: SessionInfo, metadata: RunMetadata, input_digest: str) -> dict[str, str]:
    """Return what the results of a job depend on, by name.

    Most of it is in the metadata of the outputs. An option that affects scores and is not recorded there is added by
    its value.
    """
    key = dataclasses.replace(metadata, command="").to_header()
    for group in job.groups.values():
        key |= group.score_settings()
    return key | {
        "input": input_digest,
        "device": info.device,
        "threads (NPROC)": str(info.threads),
        "scores": "all" if job.keeps_all_scores else "largest",
    }


@contextlib.contextmanager
def _open_journal(
    job: Job, info: SessionInfo, metadata: RunMetadata, input_digest: str
) -> Iterator[Journal | None]:
    """Open the journal beside the first output that is a regular file; None if there is none."""
    if not job.files:
        yield None
        return
    key = journal_key(job, info, metadata, input_digest)
    with open_journal(Path(job.files[0]), key, resume=job.run.resume) as journal:
        for name in job.files:
            remove_leftovers(name)
        if len(journal):
            log.info("resuming an interrupted run: %d records are scored", len(journal))
        try:
            yield journal
        except BaseException:
            if not journal.is_empty:
                log.info("the scores so far are kept: rerun the same command to resume")
            raise


@contextlib.contextmanager
def _open_writers(
    job: Job, context: WriterContext
) -> Iterator[tuple[TextWriter | None, Sequence[ResultWriter]]]:
    """Open the summary, if any, and the writers of results; their files appear together."""
    writers = [output.open(context) for output in job.outputs]
    summary = None if job.run.json_summary is None else TextWriter(job.run.json_summary)
    opened = [*writers, *([summary] if summary else [])]
    with contextlib.ExitStack() as stack:
        for writer in opened:
            stack.enter_context(writer)
        yield summary, writers
        for writer in opened:
            writer.finish()


def _summarize(job: Job, report: JobReport, metadata: RunMetadata, *, input_digest: str) -> dict[str, Any]:
    """Return what `--json-summary` writes."""
    counts = report.counts
    return {
        "command": shlex.join(job.command),
        "versions": versions(),
        "machine": {"host": platform.node(), "platform": platform.platform()},
        "input": {"path": job.source, "sha256": input_digest},
        "outputs": [output.path for output in job.outputs],
        "provenance": {
            key.removeprefix("vepscore").lower(): value for key, value in metadata.to_header().items()
        },
        "device": report.device,
        "threads": report.threads or None,
        "precision": report.precision,
        "batch": job.compute.batch,
        "shard": str(job.run.shard) if job.run.shard else None,
        "cluster": job.run.cluster,
        "records": counts.records,
        "records_resumed": counts.resumed,
        "alleles": counts.alleles,
        "statuses": {str(status): count for status, count in sorted(counts.statuses.items())},
        "scorers_left_out": report.excluded,
        "warnings": [warning._asdict() for warning in report.warnings],
        "seconds": {"opening": round(report.opening_seconds, 3), "scoring": round(counts.seconds, 3)},
    }
