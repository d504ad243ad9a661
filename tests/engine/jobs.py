"""A job on the tiny genome, to be changed by the tests."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from tests.builders import WINDOW_BP, TinyGenome
from vepscore.engine.job import Job
from vepscore.io.formats import formats, output_for
from vepscore.io.output_file import OutputFile
from vepscore.options import GenomeOptions, ModelOptions, WindowOptions
from vepscore.options.option_types import Precision


def tiny_job(
    genome: TinyGenome,
    checkpoint: Path | str,
    source: Path | str,
    *,
    outputs: Sequence[Path | str] = (),
    table: Path | str | None = None,
    spliceai: Path | str | None = None,
    **changes: object,
) -> Job:
    """Score `source` with the smallest window; without outputs, unless they are named."""
    job = Job(
        source=str(source),
        outputs=output_files(*outputs, table=table, spliceai=spliceai),
        genome=GenomeOptions(reference=genome.fasta, genes=genome.gtf),
        model=ModelOptions(checkpoint=str(checkpoint), precision=Precision.FLOAT32),
        windows=WindowOptions(window=WINDOW_BP),
        command=("vepscore", "score"),
    )
    return job.changed(**changes)


def output_files(*paths: Path | str, **by_option: Path | str | None) -> tuple[OutputFile, ...]:
    """Outputs by their suffix, and by the name of a format that has an option of its own."""
    kinds = {kind.name: kind for kind in formats()}
    return (
        *(output_for(str(path)) for path in paths),
        *(kinds[name](str(path)) for name, path in by_option.items() if path is not None),
    )


def paths_of(job: Job) -> list[Path]:
    """The outputs of a job."""
    return [Path(output.path) for output in job.outputs]


def path_of(job: Job, name: str) -> Path:
    """The output of one format, by the format's name."""
    (path,) = (Path(output.path) for output in job.outputs if output.name == name)
    return path


def renamed(job: Job, prefix: str, **changes: object) -> Job:
    """The job with outputs of other names."""
    moved = tuple(
        dataclasses.replace(output, path=str(path.with_name(f"{prefix}{path.name}")))
        for output, path in zip(job.outputs, paths_of(job), strict=True)
    )
    return job.changed(outputs=moved, **changes)
