"""Logging for the command line: to stderr, so that stdout is data only."""

import logging
import sys
from typing import Annotated, TextIO

import typer

from vepscore.paths import escape_bytes


class _StderrHandler(logging.StreamHandler):
    """Write to the standard error of the moment: whoever calls a command within a process may replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # sets no stream

    @property
    def stream(self) -> TextIO:
        return sys.stderr


_handler = _StderrHandler()


class _Formatter(logging.Formatter):
    """`message` for what is going on, `warning: message` and the like for the rest."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(super().format(record))
        if record.levelno == logging.INFO:
            return text
        origin = f"{record.name}: " if record.levelno < logging.INFO else ""
        return f"{record.levelname.lower()}: {origin}{text}"


def printable(text: str) -> str:
    """`text` with its control characters and bytes that are not UTF-8 escaped.

    A file that is quoted must not steer the terminal.
    """
    text = escape_bytes(text)
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def set_up_logging(*, verbose: bool = False, quiet: bool = False) -> None:
    """Sends logs to stderr: our notices, and warnings of anyone."""
    _handler.setFormatter(_Formatter())
    logging.getLogger().addHandler(_handler)
    _set_level(logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO)


def _set_level(level: int) -> None:
    logging.getLogger("vepscore").setLevel(level)


def _on_verbose(value: bool) -> bool:
    if value:
        _set_level(logging.DEBUG)
    return value


def _on_quiet(value: bool) -> bool:
    if value:
        _set_level(logging.WARNING)
    return value


# A command with these parameters takes the flags after its name too, and needs no code for them.
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", callback=_on_verbose, help="Say more about what is going on.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_on_quiet, help="Only warnings and errors.")]
