"""The formats of a run's results, each in a module of its own: a subclass of `OutputFile`, found by itself."""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any, Self

from vepscore.io.output_file import OutputFile
from vepscore.options import DATA
from vepscore.options.option_spec import Declared, OptionGroup, OptionSpec

STDOUT = "-"


@functools.cache
def formats() -> tuple[type[OutputFile], ...]:
    """Return the formats of `vepscore score`, the default one first, the others by name."""
    modules = [
        importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    found = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, OutputFile) and value.__module__ == module.__name__
    ]
    return tuple(sorted(found, key=lambda kind: (not kind.is_default, kind.name)))


def output_for(path: str) -> OutputFile:
    """Return the output at a path, in the format that its suffix names.

    Raises:
        UsageError: no format has this suffix, or the path is a stream that is not for its format.
    """
    from vepscore.io.streams import output_suffix

    by_suffix = {suffix: kind for kind in formats() if kind.option is None for suffix in kind.suffixes}
    return by_suffix[output_suffix(path, list(by_suffix))](path)


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputOptions(OptionGroup):
    """The outputs of `vepscore score`: -o, and an option for each format that has one of its own."""

    outputs: tuple[OutputFile, ...]

    @classmethod
    def declared(cls) -> Iterator[Declared]:
        """Yield the options; none affects scores."""
        described = ", ".join(kind.description for kind in formats() if kind.option is None)
        help_text = f"Output file; may be repeated. By suffix: {described}. Default: -, an annotated VCF."
        by_suffix = OptionSpec(
            flags=("-o", "--output"),
            help=help_text,
            panel=DATA,
            affects_scores=False,
            metavar="FILE",
        )
        yield Declared("output", tuple[str, ...] | None, None, by_suffix)
        for kind in formats():
            if kind.option is not None:
                yield Declared(kind.name, str | None, None, kind.option)

    @classmethod
    def build(cls, values: Mapping[str, Any]) -> Self:
        """Return the outputs that were asked for.

        Raises:
            UsageError: no format has the suffix of a path.
        """
        by_suffix = [output_for(path) for path in values["output"] or (STDOUT,)]
        by_option = [kind(values[kind.name]) for kind in formats() if values.get(kind.name) is not None]
        return cls(outputs=(*by_suffix, *by_option))
