"""An output of a run: what every format of results has in common.

A format is a subclass of `OutputFile` in a module of `vepscore.io.formats`, where it is found by itself. Its instances
are outputs that were asked for. Such a module imports nothing heavy at its top, since `vepscore --help` reads it.
"""

import abc
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from vepscore.errors import UsageError
from vepscore.options.option_spec import OptionSpec

if TYPE_CHECKING:
    from vepscore.io.header import VcfHeader
    from vepscore.io.parts import Part
    from vepscore.io.quantiles import Quantiles
    from vepscore.io.results import ResultWriter
    from vepscore.io.run_metadata import RunMetadata
    from vepscore.outputs import Output, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class WriterContext:
    """What writers need to know of a run."""

    metadata: "RunMetadata"
    header: "VcfHeader"  # of the annotated VCF
    tracks: "Mapping[Output, Tracks]"
    signed: Collection[str]  # the scorers and fields whose scores are signed
    quantiles: "Quantiles | None"  # that the scores are ranked in
    overwrite: bool  # replace the annotation of an earlier run


@dataclasses.dataclass(frozen=True)
class OutputFile(abc.ABC):
    """An output in one format."""

    path: str  # "-" is standard output

    name: ClassVar[str]  # of the format: names its parameter on the command line
    description: ClassVar[str] = ""  # of the format, for the help of -o
    suffixes: ClassVar[tuple[str, ...]]
    option: ClassVar[OptionSpec | None] = None  # the option that asks for it; None: -o, by the suffix
    needs_all_scores: ClassVar[bool] = False  # and not only their summary
    needs_scorers: ClassVar[tuple[str, ...]] = ()
    is_default: ClassVar[bool] = False  # of standard output, and of streams whose name has no suffix
    has_shards: ClassVar[bool] = False  # `merge` is implemented

    def check(self) -> None:
        """Refuse a path that the format cannot have, before anything is computed.

        Raises:
            UsageError: another suffix, or a stream that is not for this format.
        """
        from vepscore.io.streams import output_suffix

        output_suffix(self.path, self.suffixes)

    def check_scorers(self, scorers: Collection[str], excluded: Mapping[str, str]) -> None:
        """Refuse an output for which a scorer is missing; `excluded` has the reasons by name.

        Raises:
            UsageError: one of `needs_scorers` does not run.
        """
        missing = [name for name in self.needs_scorers if name not in scorers]
        if missing:
            flag = self.option.flags[-1] if self.option else "-o"
            reasons = [
                f"{name}: {excluded.get(name, 'is not among the scorers asked for')}" for name in missing
            ]
            raise UsageError(
                "\n".join([f"{flag} {self.path}: nothing to write there", *reasons]),
                hint=f"omit {flag}, or add -s {' -s '.join(missing)}",
            )

    def complete(self, metadata: "RunMetadata", source: str, digest: str) -> "RunMetadata":
        """Return a run's metadata with what only this format tells; `digest` is the sha256 of the input `source`."""
        return metadata

    @abc.abstractmethod
    def open(self, context: WriterContext) -> "ResultWriter":
        """Return the writer, which is entered as a context."""

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Return whether a file is of this format, among formats of the same suffix."""
        return True

    @classmethod
    def merge(cls, paths: Sequence[Path], output: str) -> "list[Part]":
        """Join the shards of one run, given in any order; return them in their order.

        Raises:
            InputError: a part is missing, duplicate, truncated, no shard, or from a different run.
            OutputError: the output cannot be written.
        """
        raise NotImplementedError(f"{cls.name} has no shards")
