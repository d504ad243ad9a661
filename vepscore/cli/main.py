"""The `vepscore` command: its subcommands, and how errors become messages and exit statuses.

This module and those of the subcommands import nothing heavy; their functions import what they use.
"""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer
import typer.core

from vepscore.cli import weights
from vepscore.cli.calibrate import calibrate
from vepscore.cli.evaluate import evaluate
from vepscore.cli.ism import ism
from vepscore.cli.logs import printable, set_up_logging
from vepscore.cli.merge import merge
from vepscore.cli.option_groups import expand
from vepscore.cli.plot import plot
from vepscore.cli.predict import predict
from vepscore.cli.rank import rank
from vepscore.cli.report import report
from vepscore.cli.score import score
from vepscore.cli.scorers import scorers
from vepscore.cli.stop_signals import STATUSES, WORDS, Terminated, set_up_signals, signal_of
from vepscore.cli.train import train
from vepscore.errors import OutputError, VepscoreError
from vepscore.paths import provide_home, remove_scratch

_BROKEN_PIPE = 128 + signal.SIGPIPE  # exit status, as shells have it


class _Commands(typer.core.TyperGroup):
    """The subcommands. Errors are handled before typer turns some of them into an exit status of 1."""

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
for command in (score, calibrate, predict, ism, merge, rank, report, plot, evaluate):
    app.command()(expand(command))
app.command()(scorers)
app.command()(expand(train))
app.add_typer(weights.app, name="weights")


def _print_version(value: bool) -> None:
    if value:
        from vepscore.versions import describe_versions

        print(describe_versions())
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
]


@app.callback()
@expand
def set_up(version: Version = False) -> None:
    """Score the variants of a VCF with sequence-to-function networks of the AlphaGenome family.

    For research; not for clinical use.
    """


def run_script(function: Callable[..., None]) -> None:
    """Run a function as a command of its own: options by typer; streams, signals and errors as `vepscore` has them."""
    script = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    script.command()(_errors_as_messages()(expand(function)))
    main(script, name=os.path.basename(sys.argv[0]))


def main(app: typer.Typer = app, *, name: str = "vepscore") -> None:
    """Run the console script."""
    set_up_signals()
    _occupy_standard_streams()
    _take_any_text()
    provide_home()
    set_up_logging()
    try:
        with _errors_as_messages():
            try:
                app(prog_name=name)
            finally:
                _flush_output()  # not at exit, where a closed pipe could not be handled
    except SystemExit as end:
        if isinstance(end.code, int) and end.code in STATUSES.values():
            sys.stderr.flush()
            remove_scratch()
            os._exit(end.code)  # the interpreter would wait until the device is done
        raise


def _occupy_standard_streams() -> None:
    """Open the null device for each closed stream: else a file could get its number, and the messages meant for it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (open to the end)


def _take_any_text() -> None:
    """Let standard output accept any text and path in any locale: text as UTF-8, paths byte by byte."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")


def _flush_output() -> None:
    ended = sys.exception()
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        if isinstance(ended, SystemExit) and not ended.code:  # else the first failure is the one to report
            raise OutputError(f"standard output\ncannot be written: {error.strerror}") from error


def _discard_output() -> None:
    """Discard what is buffered: it would fail again when the interpreter flushes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _errors_as_messages() -> Iterator[None]:
    """Exit with a message for errors that users cause; anything else is our bug and keeps its traceback."""
    try:
        yield
    except VepscoreError as error:
        _print_error(error)
        raise SystemExit(error.exit_status) from error
    except (KeyboardInterrupt, Terminated, RuntimeError) as error:
        number = signal_of(error)
        if number is None:
            raise
        print(WORDS[number], file=sys.stderr)
        raise SystemExit(STATUSES[number]) from None
    except BrokenPipeError:
        _discard_output()
        raise SystemExit(_BROKEN_PIPE) from None


def _print_error(error: VepscoreError) -> None:
    from rich.console import Console
    from rich.text import Text

    message = Text.assemble(("error: ", "bold red"), printable(str(error)))
    Console(stderr=True, highlight=False, soft_wrap=True).print(message)
