"""Background quantiles: a background of variants is scored, and what `vepscore score` needs of the scores is kept."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

from vepscore.engine.device import choose_device, default_precision
from vepscore.engine.job import run_job
from vepscore.engine.options import Job
from vepscore.engine.report import JobReport
from vepscore.engine.run import RunCounts
from vepscore.io.atomic import writing
from vepscore.io.quantiles import quantiles_name


def calibrate(
    job: Job, folder: Path, observe: Callable[[RunCounts, int | None], None]
) -> tuple[Path, JobReport]:
    """Scores a background as `run_job` does and writes its quantiles into a folder.

    Args:
        job: the options; its input is the background.
        folder: made where it is absent.
        observe: as for `run_job`.

    Returns:
        The file with the quantiles, named by organism, window and precision, and the report of the run.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    precision = job.precision or default_precision(choose_device(job.device))
    path = folder / quantiles_name(job.organism, job.window_bp, precision)
    with _made(folder):
        return path, run_job(dataclasses.replace(job, background=path, precision=precision), observe)


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """The folder; one that was made for nothing is gone afterwards."""
    was_there = folder.is_dir()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if not was_there:
            with contextlib.suppress(OSError):
                folder.rmdir()  # only where it is empty
        raise
