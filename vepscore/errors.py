"""The exceptions a user can cause, each with a message that says where, what was found and what to do.

    VepscoreError
    ├── UsageError        a wrong or impossible combination of options; exit status 2
    ├── InputError        the VCF cannot be read, or says something impossible
    ├── GenomeError       the FASTA cannot be read, or does not fit the VCF
    ├── AnnotationError   the GTF or the poly(A) table cannot be read
    ├── CheckpointError   a checkpoint is missing, incomplete or damaged
    ├── PluginError       a scorer plug-in cannot be loaded or breaks its contract
    ├── TrainingError     a recipe for training does not fit
    ├── ClusterError      the workers of a cluster cannot be reached, are lost, or disagree
    └── OutputError       a result cannot be written

The command line prints only these in the short form; anything else keeps its traceback, since it is our own bug.
"""

_LONGEST_LINE = 500


class VepscoreError(Exception):
    """An error that the user can act on.

    Args:
        message: where it happened, what was found and what was expected; lines after the first are indented.
        hint: what to do about it, in one line.
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
    """What of a line is shown: it may quote a file that nobody has checked."""
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}… ({len(line)} characters)"


class UsageError(VepscoreError):
    """Options that do not make sense alone or together."""

    exit_status = 2


class InputError(VepscoreError):
    """The variants cannot be read."""


class GenomeError(VepscoreError):
    """The reference genome cannot be read or does not fit."""


class AnnotationError(VepscoreError):
    """The gene annotation or the poly(A) sites cannot be read."""


class CheckpointError(VepscoreError):
    """A checkpoint is missing, incomplete, misshapen or damaged."""


class PluginError(VepscoreError):
    """A scorer plug-in cannot be loaded or breaks the contract."""


class TrainingError(VepscoreError):
    """A recipe for training cannot be read, or its fields do not fit."""


class ClusterError(VepscoreError):
    """The workers of a cluster cannot be reached, are lost, or disagree."""


class OutputError(VepscoreError):
    """A result cannot be written."""
