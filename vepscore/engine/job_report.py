"""The report of a finished job: for people at its end, and as JSON for programs."""

import dataclasses
import platform
import shlex
from typing import Any

from vepscore.engine.job import Job
from vepscore.engine.scored_records import RunCounts
from vepscore.genome.consistency import FileWarning
from vepscore.io.run_metadata import RunMetadata
from vepscore.versions import versions

_PREFIX = "vepscore"


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


def summarize_job(job: Job, report: JobReport, metadata: RunMetadata, *, input_digest: str) -> dict[str, Any]:
    """Return what `--json-summary` writes, as plain JSON values."""
    counts = report.counts
    return {
        "command": shlex.join(job.command),
        "versions": versions(),
        "machine": {"host": platform.node(), "platform": platform.platform()},
        "input": {"path": job.source, "sha256": input_digest},
        "outputs": [output.path for output in job.outputs],
        "provenance": {
            key.removeprefix(_PREFIX).lower(): value for key, value in metadata.to_header().items()
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
