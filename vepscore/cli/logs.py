"""Logging for the command line: on standard error, so that standard output has data only."""

import logging
import sys
from typing import TextIO

from vepscore.paths import escape_bytes


class _StderrHandler(logging.StreamHandler):
    """Write to the present `sys.stderr`: a caller within the process may replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)  # sets no stream

    @property
    def stream(self) -> TextIO:
        return sys.stderr


_handler = _StderrHandler()


class _Formatter(logging.Formatter):
    """Write notices as `message`, other levels as `warning: message`."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(super().format(record))
        if record.levelno == logging.INFO:
            return text
        origin = f"{record.name}: " if record.levelno < logging.INFO else ""
        return f"{record.levelname.lower()}: {origin}{text}"


def printable(text: str) -> str:
    """Return text with control characters and bytes that are not UTF-8 escaped.

    A quoted file must not control the terminal.
    """
    text = escape_bytes(text)
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def set_up_logging() -> None:
    """Send logs to standard error: our notices, and the warnings of all packages."""
    _handler.setFormatter(_Formatter())
    logging.getLogger().addHandler(_handler)
    logging.getLogger("vepscore").setLevel(logging.INFO)
