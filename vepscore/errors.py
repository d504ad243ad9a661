"""Errors that a user can cause and fix. Each message says where the error is, what was found and what was expected.

The command line prints these without a traceback. Any other exception is a bug and keeps its traceback.
"""

import contextlib
from collections.abc import Iterator

_LONGEST_LINE = 500


class VepscoreError(Exception):
    """The base class of all errors that the user can fix.

    Args:
        message: where the error is, what was found and what was expected; lines after the first are indented.
        hint: how to fix it, in one line.
    """

    exit_status = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        first, *rest = [_cut(line) for line in self.message.splitlines()] or [""]
        lines = [first, *(f"  {line}" for line in rest)]
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


def _cut(line: str) -> str:
    """Shorten a long line: it may quote a file of any content."""
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}… ({len(line)} characters)"


class UsageError(VepscoreError):
    """Invalid or conflicting options; exit status 2."""

    exit_status = 2


class InputError(VepscoreError):
    """The variants cannot be read or are invalid."""


class GenomeError(VepscoreError):
    """The reference genome cannot be read or does not match the variants."""


class AnnotationError(VepscoreError):
    """The gene annotation or the poly(A) sites cannot be read."""


class CheckpointError(VepscoreError):
    """A checkpoint is missing, incomplete, damaged or has arrays of wrong shapes."""


class PluginError(VepscoreError):
    """A plug-in cannot be loaded or violates its contract."""


class TrainingError(VepscoreError):
    """A training recipe cannot be read or has invalid fields."""


class ClusterError(VepscoreError):
    """The workers of a cluster cannot be reached, are lost, or have different environments."""


class OutputError(VepscoreError):
    """A result cannot be written."""


@contextlib.contextmanager
def requiring(use: str, extra: str, alternative: str = "") -> Iterator[None]:
    """Raise UsageError if an optional dependency that is imported within is not installed.

    Args:
        use: what is done with it, up to its name.
        extra: the extra of vepscore that installs it.
        alternative: what else the user may do.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{use}, which is not installed", hint=f"pip install 'vepscore[{extra}]'{alternative}"
        ) from error
