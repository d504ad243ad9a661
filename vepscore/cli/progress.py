"""Report a run on standard error: a progress bar on a terminal, and a summary at its end."""

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from vepscore.engine.job_report import JobReport
from vepscore.engine.run_job import Observe
from vepscore.engine.scored_records import RunCounts
from vepscore.genome.alleles import Status


@contextlib.contextmanager
def observing() -> Iterator[Observe]:
    """Yield a function that shows the progress of a run; it shows nothing if standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda counts, total: None
        return
    columns = (
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("scoring", total=None, rate="")

        def observe(counts: RunCounts, total: int | None) -> None:
            rate = f"{counts.scored / counts.seconds * 60:.1f} variants/min" if counts.scored else ""
            progress.update(task, completed=counts.records, total=total, rate=rate)

        yield observe


def print_report(report: JobReport) -> None:
    """Print the summary: the number of alleles by status, the excluded scorers, and the time per variant."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    counts = report.counts
    console.print(f"{counts.records} records, {counts.alleles} alternate alleles")
    table = Table()
    table.add_column("status")
    table.add_column("alleles", justify="right")
    for status in Status:
        if counts.statuses[status]:
            table.add_row(str(status), str(counts.statuses[status]))
    console.print(table)
    reasons: dict[str, list[str]] = {}
    for name, reason in report.excluded.items():
        reasons.setdefault(reason, []).append(name)
    for reason, names in reasons.items():
        console.print(f"not scored ({reason}): {', '.join(names)}")
    if counts.scored:
        pace = counts.seconds / counts.scored
        console.print(
            f"{pace:.2f} s per scored variant, {counts.seconds:.0f} s in all, {report.precision} on {report.device}"
        )
