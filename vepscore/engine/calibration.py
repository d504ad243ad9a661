"""Background quantiles: score a background of variants and keep what `vepscore score` needs of the scores."""

from pathlib import Path

from vepscore.engine.device import find_devices
from vepscore.engine.job import Job, resolve_defaults, resolve_precision
from vepscore.engine.run_job import JobReport, Observe, run_job
from vepscore.io.atomic import check_folder, created_folder
from vepscore.io.quantile_writer import QuantilesFile
from vepscore.io.quantiles import quantiles_name
from vepscore.options import ALL_SCORERS


def calibrate(job: Job, folder: Path, observe: Observe) -> tuple[Path, JobReport]:
    """Score a background as `run_job` does and write its quantiles into a folder.

    Args:
        job: the options; its input is the background. Without scorers, every one that can run.
        folder: created if it is absent.
        observe: as for `run_job`.

    Returns:
        The file with the quantiles, named by organism, window and precision, and the report of the run.

    Raises:
        VepscoreError: anything that the user can act on.
    """
    check_folder(folder)
    job = resolve_defaults(job)
    device = find_devices(job.compute.device)[0].platform
    precision = resolve_precision(job, device)
    path = folder / quantiles_name(job.model.organism, job.window_bp, precision)
    job = job.changed(
        outputs=(QuantilesFile(str(path)),),
        precision=precision,
        scorers=job.scoring.scorers or (ALL_SCORERS,),
        no_quantiles=True,
        overwrite_existing=True,  # nothing of the input is written
    )
    with created_folder(folder):
        return path, run_job(job, observe)
