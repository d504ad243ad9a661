"""Report a run on standard error: a progress bar on a terminal, and a summary at its end."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from vepscore.engine.run_job import JobReport, Observe
from vepscore.engine.scored_records import RunCounts
from vepscore.genome.alleles import Status

log = logging.getLogger(__name__)


@contextlib.contextmanager
def observing() -> Iterator[Observe]:
    """Yield a function that shows the progress of a run."""
    rate = TextColumn("{task.fields[rate]}")
    columns = (MofNCompleteColumn(), rate, TimeElapsedColumn(), TimeRemainingColumn())
    with _progress(TextColumn("scoring"), BarColumn(), *columns) as progress:
        task = progress.add_task("scoring", total=None, rate="")

        def observe(counts: RunCounts, total: int | None) -> None:
            rate = f"{counts.scored / counts.seconds * 60:.1f} variants/min" if counts.scored else ""
            progress.update(task, completed=counts.records, total=total, rate=rate)

        yield observe


@contextlib.contextmanager
def observing_bytes(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function to call with the bytes done so far and in all; nothing is shown before the first call."""
    columns = (DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with _progress(TextColumn(what), BarColumn(), *columns) as progress:
        task = progress.add_task(what, total=None, visible=False)
        yield lambda done, total: progress.update(task, completed=done, total=total, visible=True)


@contextlib.contextmanager
def observing_training() -> Iterator[Callable[[str, int, int, dict[str, float]], None]]:
    """Yield a function that shows the progress of each network, which stays on the terminal; none with -q."""
    loss = TextColumn("loss {task.fields[loss]:.4g}")
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), loss)
    shown = log.isEnabledFor(logging.INFO)
    with _progress(TextColumn("{task.description}"), *columns, shown=shown, transient=False) as progress:
        tasks: dict[str, TaskID] = {}

        def observe(network: str, step: int, steps: int, losses: dict[str, float]) -> None:
            if network not in tasks:
                tasks[network] = progress.add_task(network, total=steps, loss=0.0)
            progress.update(tasks[network], completed=step, loss=losses["total"])

        yield observe


def _progress(*columns: ProgressColumn, shown: bool = True, transient: bool = True) -> Progress:
    """Return a display on standard error, which shows nothing if that is no terminal."""
    hidden = not (shown and sys.stderr.isatty())
    console = Console(stderr=True, quiet=hidden)  # older versions of rich write a line even if disabled
    return Progress(*columns, console=console, transient=transient, disable=hidden)


def print_report(report: JobReport) -> None:
    """Print the summary: the number of alleles by status, the excluded scorers, the time per variant; not with -q."""
    if not log.isEnabledFor(logging.INFO):
        return
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
