"""`vepscore train`: train teachers and students as a recipe says."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.errors import UsageError

if TYPE_CHECKING:
    from vepscore.train.training_data import ReadContacts

log = logging.getLogger(__name__)


def make_command(read_contacts: "ReadContacts | None" = None) -> Callable[..., None]:
    """Return the function of the command.

    Args:
        read_contacts: reads the contact maps that a recipe names; None refuses such recipes.
    """

    def train(
        recipe: Annotated[
            Path,
            typer.Argument(
                metavar="RECIPE.toml", help="Recipe: the data, the network and the training schedules."
            ),
        ],
        data: Annotated[
            Path, typer.Argument(metavar="DATA", help="Directory with the files that the recipe names.")
        ],
        output: Annotated[
            Path,
            typer.Option(
                "-o",
                "--output",
                help="Directory for the networks. An interrupted run resumes from what it holds.",
            ),
        ],
        fraction: Annotated[
            float,
            typer.Option(
                min=0.0,
                max=1.0,
                help="Fraction of the recipe's steps to run; use a small value for a smoke test.",
            ),
        ] = 1.0,
        teacher: Annotated[
            int | None,
            typer.Option(
                min=1,
                help="Train only this teacher, e.g. as one task of a job array. Then run without this option to "
                "train the students.",
            ),
        ] = None,
        start: Annotated[
            Path | None,
            typer.Option(
                help="Initialize the teachers from the run in this directory. Default: from random parameters."
            ),
        ] = None,
        share: Annotated[float | None, typer.Option(min=0.0, max=1.0, hidden=True)] = None,
        verbose: Verbose = False,
        quiet: Quiet = False,
    ) -> None:
        """Train a checkpoint: teachers on labels, then students on the teachers' predictions."""
        if share is not None:
            log.warning("--share is now called --fraction; the former name will be removed")
            fraction = share
        _train(
            recipe,
            data,
            output,
            fraction=fraction,
            teacher=teacher,
            start=start,
            quiet=quiet,
            read_contacts=read_contacts,
        )

    return train


train = make_command()


def _train(
    path: Path,
    data: Path,
    output: Path,
    *,
    fraction: float,
    teacher: int | None,
    start: Path | None,
    quiet: bool,
    read_contacts: "ReadContacts | None",
) -> None:
    from vepscore.engine.device import find_devices
    from vepscore.engine.settings import set_up_process
    from vepscore.io.atomic import check_folder
    from vepscore.io.output_paths import check_output_paths
    from vepscore.train.recipe import read_recipe

    check_folder(output)
    try:
        from vepscore.train.training_data import list_inputs, read_data
        from vepscore.train.training_run import list_outputs, train_all
    except ModuleNotFoundError as error:
        raise UsageError(
            f"vepscore train: {error.name} is not installed", hint="pip install 'vepscore[train]'"
        ) from error
    recipe = read_recipe(path).shortened(fraction)
    check_output_paths(list_outputs(recipe, output), [path, *list_inputs(recipe, data, start)])
    set_up_process(deterministic=False)
    find_devices("auto")
    with _progress(quiet=quiet) as observe:
        found = read_data(recipe, data, read_contacts)
        typer.echo(train_all(recipe, found, output, start=start, only_teacher=teacher, observe=observe))


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Callable[[str, int, int, dict[str, float]], None]]:
    """Yield a function that shows progress, if standard error is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda network, step, steps, losses: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TaskID,
        TextColumn,
        TimeRemainingColumn,
    )

    columns: list[ProgressColumn] = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.4g}"),
    ]
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks: dict[str, TaskID] = {}

        def observe(network: str, step: int, steps: int, losses: dict[str, float]) -> None:
            if network not in tasks:
                tasks[network] = progress.add_task(network, total=steps, loss=0.0)
            progress.update(tasks[network], completed=step, loss=losses["total"])

        yield observe
