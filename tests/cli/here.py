"""Runs a command in the process of the tests, which saves the start of another."""

import contextlib
import io
import logging
import os
from collections.abc import Iterator
from typing import NamedTuple

import jax

from vepscore.cli.logs import set_up_logging
from vepscore.cli.main import app


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    said: str  # on standard error


def run_here(*arguments: str | os.PathLike[str]) -> Ended:
    """Runs `vepscore` with the arguments; what it sets of the process is undone."""
    said = io.StringIO()
    status = 0
    with process_restored(), contextlib.redirect_stderr(said):
        set_up_logging()
        try:
            app([os.fspath(word) for word in arguments], prog_name="vepscore")
        except SystemExit as end:
            status = end.code or 0
    return Ended(status, said.getvalue())


@contextlib.contextmanager
def process_restored() -> Iterator[None]:
    """Restores what a command sets: the log, the environment and JAX's settings."""
    root, own = logging.getLogger(), logging.getLogger("vepscore")
    handlers, level = list(root.handlers), own.level
    environment, settings = dict(os.environ), dict(jax.config.values)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        own.setLevel(level)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        for name, value in settings.items():
            if jax.config.values[name] != value:
                jax.config.update(name, value)
