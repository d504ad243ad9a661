"""`vepscore train`: train teachers and students as a recipe says."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
        student: Annotated[
            str | None,
            typer.Option(
                metavar="NAME|DIR",
                help="With [splicing] in the recipe: train that part alone, and join it with this finished student. "
                "Required if the recipe trains nothing else. Default: train teachers and students first.",
            ),
        ] = None,
        share: Annotated[float | None, typer.Option(min=0.0, max=1.0, hidden=True)] = None,
    ) -> None:
        """Train a checkpoint: teachers on labels, then students on the teachers' predictions.

        With [splicing] in the recipe, then a network for splicing alone, which published networks teach.
        """
        from vepscore.cli.progress import observing_training
        from vepscore.engine.device import find_devices
        from vepscore.engine.settings import set_up_process
        from vepscore.io.atomic import check_folder
        from vepscore.io.output_paths import check_output_paths
        from vepscore.model.registry import resolve_checkpoint
        from vepscore.train.recipe import Recipe, SplicingRecipe, read_recipe

        if share is not None:
            log.warning("--share is now called --fraction; the former name will be removed")
            fraction = share
        check_folder(output)
        try:
            from vepscore.train.splicing.splicing_run import find_sources, train_compact
            from vepscore.train.training_data import list_inputs, read_data
            from vepscore.train.training_run import list_outputs, train_all
        except ModuleNotFoundError as error:
            raise UsageError(
                f"vepscore train: {error.name} is not installed", hint="pip install 'vepscore[train]'"
            ) from error
        parsed = read_recipe(recipe).shortened(fraction)
        if student is not None and (parsed.splicing is None or teacher is not None or start is not None):
            raise UsageError(
                "--student: trains [splicing] of the recipe alone",
                hint="give a recipe with [splicing], and omit --teacher and --start",
            )
        if student is None and isinstance(parsed, SplicingRecipe):
            raise UsageError(
                f"{recipe}\ntrains splicing alone, which a finished student joins",
                hint="name the student with --student, or add [network], [teachers] and [[student]] to the recipe",
            )
        sources = find_sources(parsed, data)
        given = None if student is None else resolve_checkpoint(student)
        checkpoints = [*sources.directories, *([given] if given else [])]
        inputs = [recipe, *list_inputs(parsed, data, start, checkpoints), *sources.more_sequence]
        check_output_paths(list_outputs(parsed, output, splicing_alone=given is not None), inputs)
        set_up_process(deterministic=False)
        find_devices("auto")
        with observing_training() as observe:
            found = read_data(parsed, data, read_contacts)
            done = given
            if done is None:
                assert isinstance(parsed, Recipe)  # one of splicing alone has a student
                done = train_all(parsed, found, output, start=start, only_teacher=teacher, observe=observe)
            if parsed.splicing is not None and teacher is None:
                done = train_compact(parsed, found, output, sources, done, observe)
            typer.echo(done)

    return train


train = make_command()
