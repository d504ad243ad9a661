"""A job: its options, its input and its outputs."""

import dataclasses
import logging
from pathlib import Path
from typing import Any, Self

from vepscore.engine.device import default_precision
from vepscore.errors import CheckpointError, UsageError
from vepscore.io.journal import journal_path
from vepscore.io.output_file import OutputFile
from vepscore.io.output_paths import check_output_paths
from vepscore.io.quantiles import list_quantiles
from vepscore.io.streams import is_stream
from vepscore.model.checkpoint import Defaults, read_defaults
from vepscore.model.registry import checkpoint_files, resolve_checkpoint
from vepscore.options import (
    AlleleOptions,
    ComputeOptions,
    GenomeOptions,
    ModelOptions,
    RunOptions,
    ScorerOptions,
    WindowOptions,
)
from vepscore.options.option_spec import OptionGroup
from vepscore.options.option_types import Precision

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What is scored, with what, and where the results go."""

    source: str = ""  # VCF or BCF; "-" is standard input; "" if there is none
    outputs: tuple[OutputFile, ...] = ()
    genome: GenomeOptions
    model: ModelOptions = ModelOptions()
    windows: WindowOptions = WindowOptions()
    alleles: AlleleOptions = AlleleOptions()
    scoring: ScorerOptions = ScorerOptions()
    compute: ComputeOptions = ComputeOptions()
    run: RunOptions = RunOptions()
    command: tuple[str, ...] = ()  # for the record

    @property
    def groups(self) -> dict[str, OptionGroup]:
        """The groups of options, by their field."""
        return {name: value for name, value in vars(self).items() if isinstance(value, OptionGroup)}

    def changed(self, **values: Any) -> Self:
        """Return the job with other values of its fields and of the options in its groups.

        Raises:
            TypeError: a name is neither.
        """
        changes = {name: values.pop(name) for name in [*values] if name in vars(self)}
        for name, group in self.groups.items():
            options = {key: values.pop(key) for key in [*values] if hasattr(group, key)}
            if options:
                changes[name] = changes.get(name, group).changed(**options)
        if values:
            raise TypeError(f"no options of a job: {', '.join(values)}")
        return dataclasses.replace(self, **changes)

    @property
    def window_bp(self) -> int:
        """The width of the windows; of a job from `resolve_defaults`."""
        if self.windows.window is None:
            raise ValueError("the job's defaults were not resolved")
        return self.windows.window

    @property
    def files(self) -> list[str]:
        """The outputs that are regular files, without the summary."""
        return [output.path for output in self.outputs if not is_stream(output.path)]

    @property
    def keeps_all_scores(self) -> bool:
        """Whether an output has all scores."""
        return any(output.needs_all_scores for output in self.outputs)


def resolve_defaults(job: Job) -> Job:
    """Return the job with the window of the checkpoint if it names none, and with what `official` implies.

    Raises:
        UsageError: options contradict one another.
        CheckpointError: the defaults of the checkpoint cannot be read.
    """
    window = job.windows.window
    if window is None:
        defaults = read_defaults(job.model.checkpoint)
        window = defaults.window_bp
        log.info("window of %s bp, the default of %s", f"{window:,}", defaults.checkpoint)
    return job.changed(alleles=job.alleles.resolved(), window=window)


def resolve_precision(job: Job, platform: str) -> Precision:
    """Return the precision of a run: what the job names, what the network is run in, or that of the device."""
    if job.model.precision is not None:
        return job.model.precision
    return Precision(read_defaults(job.model.checkpoint).precision or default_precision(platform))


def check_windows(job: Job, defaults: Defaults) -> None:
    """Refuse windows that the network cannot read, and grids of their starts that they cannot have.

    Raises:
        UsageError: the width is none that the network reads, or the grid is neither 1 nor a multiple of the trunk's
            bins up to a quarter of the window.
    """
    _check_width(job.window_bp, defaults)
    _check_align(job.windows.align, job.window_bp, defaults.context.align_bp)


def _check_width(window_bp: int, defaults: Defaults) -> None:
    context = defaults.context
    if context.least_bp <= window_bp <= context.most_bp and not window_bp % context.step_bp:
        return
    step = f"a multiple of {context.step_bp:,} bp" if context.step_bp > 1 else "a width"
    between = f"from {context.least_bp:,} to {context.most_bp:,} bp"
    if context.least_bp == context.most_bp:
        step, between = "the only width that the network reads,", f"{context.most_bp:,} bp"
    raise UsageError(
        f"--window {window_bp:,} bp cannot be read by {defaults.checkpoint}\nexpected {step} {between}",
        hint="--window auto is the checkpoint's default; named widths are powers of two: 1Mb is 1,048,576 bp",
    )


def _check_align(align_bp: int, window_bp: int, step_bp: int) -> None:
    if align_bp == 1 or (align_bp > 0 and align_bp % step_bp == 0 and align_bp <= window_bp // 4):
        return
    raise UsageError(
        f"--align {align_bp}\nexpected 1, or a multiple of {step_bp} up to a quarter of the window",
        hint="1 centers each window on its variant",
    )


def check_outputs(job: Job) -> None:
    """Refuse outputs of unknown formats, and those that would replace an input or one another.

    Raises:
        UsageError: as `OutputFile.check` and `check_output_paths`.
    """
    for output in job.outputs:
        output.check()
    check_output_paths(
        [*(output.path for output in job.outputs), job.run.json_summary],
        list_inputs(job),
        side_files=[journal_path(job.files[0])] if job.files else (),
    )


def list_inputs(job: Job) -> list[str]:
    """Return the files that a job reads, those of its checkpoint too; some may not exist."""
    inputs = list_model_inputs(job.genome, job.model)
    inputs += [str(path) for path in (job.source, job.genome.genes, job.genome.polya) if path]
    if not job.scoring.no_quantiles:
        place = job.scoring.quantiles or _find_checkpoint(job.model)
        if place is not None:
            inputs += map(str, [place] if place.is_file() else list_quantiles(place))
    return inputs


def list_model_inputs(genome: GenomeOptions, model: ModelOptions) -> list[str]:
    """Return the files that a network and its input are read from; some may not exist."""
    directory = _find_checkpoint(model)
    files = [genome.reference, model.metadata, *(checkpoint_files(directory) if directory else ())]
    return [str(path) for path in files if path is not None]


def _find_checkpoint(model: ModelOptions) -> Path | None:
    try:
        return resolve_checkpoint(model.checkpoint)
    except CheckpointError:  # reported where it is opened
        return None
