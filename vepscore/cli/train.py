"""`vepscore train`: teachers and a student from a recipe."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.logs import Quiet, Verbose
from vepscore.errors import UsageError


def train(
    recipe: Annotated[Path, typer.Argument(metavar="RECIPE.toml", help="What to train, and for how long.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder with the files that it names.")],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder for the teachers and the student; a run goes on in it."),
    ],
    share: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Of the recipe's steps: less, for a try.")
    ] = 1.0,
    teacher: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train this one only, as a task of a job array; the same command without it does the rest.",
        ),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="Folder of another run: these teachers begin with those; else from scratch."),
    ] = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Train a checkpoint: teachers on labels, then a student on what they predict together."""
    from vepscore.engine.device import find_devices
    from vepscore.engine.settings import set_up_process
    from vepscore.io.atomic import check_folder
    from vepscore.io.output_paths import check_output_paths
    from vepscore.train.recipe import read_recipe

    check_folder(output)
    try:
        from vepscore.train.run import list_inputs, list_outputs, read_data, train_all
    except ModuleNotFoundError as error:
        raise UsageError(
            f"vepscore train: {error.name} is not installed", hint="pip install 'vepscore[train]'"
        ) from error
    recipe_path, recipe = recipe, read_recipe(recipe).shortened(share)
    check_output_paths(list_outputs(recipe, output), [recipe_path, *list_inputs(recipe, data, start)])
    set_up_process(deterministic=False)
    find_devices("auto")
    with _observing(quiet=quiet) as observe:
        data_read = read_data(recipe, data)
        typer.echo(train_all(recipe, data_read, output, start=start, only_teacher=teacher, observe=observe))


@contextlib.contextmanager
def _observing(*, quiet: bool) -> Iterator[Callable[[str, int, int, dict[str, float]], None]]:
    """A function that shows how far training is; it shows nothing where standard error is no terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda network, step, steps, losses: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    columns += (TextColumn("loss {task.fields[loss]:.4g}"),)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        tasks = {}

        def observe(network: str, step: int, steps: int, losses: dict[str, float]) -> None:
            if network not in tasks:
                tasks[network] = progress.add_task(network, total=steps, loss=0.0)
            progress.update(tasks[network], completed=step, loss=losses["total"])

        yield observe
