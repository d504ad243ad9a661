"""The `vepscore` command: what its subcommands share, and how errors become messages and exit statuses.

Nothing heavy is imported here or by the files of the subcommands, whose functions import what they use.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
import typer.core

import vepscore
from vepscore.cli import weights
from vepscore.cli.logs import Quiet, Verbose, set_up_logging
from vepscore.cli.score import score
from vepscore.cli.scorers import scorers
from vepscore.errors import VepscoreError

_INTERRUPTED = 130  # as shells have it: 128 + SIGINT
_BROKEN_PIPE = 141  # 128 + SIGPIPE


class _Commands(typer.core.TyperGroup):
    """The subcommands; errors are dealt with before typer turns some of them into an exit status of 1."""

    def invoke(self, ctx: Any) -> Any:
        with _errors_as_messages():
            return super().invoke(ctx)


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(score)
app.command()(scorers)
app.add_typer(weights.app, name="weights")


def _print_version(value: bool) -> None:
    if value:
        print(f"vepscore {vepscore.__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
]


@app.callback()
def set_up(version: Version = False, verbose: Verbose = False, quiet: Quiet = False) -> None:
    """Score the variants of a VCF with sequence-to-function networks of the AlphaGenome family.

    For research; not for clinical use.
    """
    set_up_logging(verbose=verbose, quiet=quiet)


def main() -> None:
    """The console script."""
    with _errors_as_messages():
        try:
            app(prog_name="vepscore")
        finally:
            sys.stdout.flush()  # here rather than at exit, where a closed pipe could not be dealt with


@contextlib.contextmanager
def _errors_as_messages() -> Iterator[None]:
    """Exits with a message for what users cause; anything else is our bug and keeps its traceback."""
    try:
        yield
    except VepscoreError as error:
        _print_error(error)
        raise SystemExit(error.exit_status) from error
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:
        # What is still buffered would fail again when the interpreter flushes it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(_BROKEN_PIPE) from None


def _print_error(error: VepscoreError) -> None:
    from rich.console import Console
    from rich.text import Text

    message = Text.assemble(("error: ", "bold red"), str(error))
    Console(stderr=True, highlight=False, soft_wrap=True).print(message)
