"""Background quantiles: a background of variants is scored, and what `vepscore score` needs of the scores is kept."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from vepscore.engine.device import default_precision, find_devices
from vepscore.engine.job import Job
from vepscore.engine.job_report import JobReport
from vepscore.engine.run_job import run_job
from vepscore.engine.scored_records import RunCounts
from vepscore.io.atomic import check_folder, created_folder
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
    check_folder(folder)
    precision = job.precision or default_precision(find_devices(job.device)[0].platform)
    path = folder / quantiles_name(job.organism, job.window_bp, precision)
    with created_folder(folder):
        return path, run_job(dataclasses.replace(job, background=path, precision=precision), observe)
