"""Turn groups of options into parameters of commands.

A command is a function with parameters that are annotated with an `OptionGroup`. `expand` replaces each of them by the
options of its group, as typer takes them, and adds -v and -q. `Annotated[Group, without("name")]` and `only` choose
among them, and `Annotated[Group, changed("name", help="…")]` declares one otherwise for this command.
"""

import dataclasses
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import typer

from vepscore.errors import UsageError
from vepscore.options import LogOptions
from vepscore.options.option_spec import REQUIRED, Declared, Former, OptionGroup, OptionSpec

log = logging.getLogger(__name__)

_FORMER = "former_"  # begins the parameter of an option's former name


Choose = Callable[[list[Declared]], list[Declared]]


def without(*names: str) -> Choose:
    """Return a mark for the options of a group that a command does not take: they keep their defaults."""
    return lambda options: [declared for declared in options if declared.name not in names]


def only(*names: str) -> Choose:
    """Return a mark for the only options of a group that a command takes."""
    return lambda options: [declared for declared in options if declared.name in names]


def changed(name: str, **changes: Any) -> Choose:
    """Return a mark for an option of a group that has other fields of `OptionSpec` in this command."""
    return lambda options: [
        each._replace(spec=dataclasses.replace(each.spec, **changes)) if each.name == name else each
        for each in options
    ]


class _Group(NamedTuple):
    """A parameter that stands for a group."""

    parameter: str
    kind: type[OptionGroup]
    options: list[Declared]


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose groups are replaced by their options."""
    signature = inspect.signature(command)
    found = {name: _find_group(parameter) for name, parameter in signature.parameters.items()}
    groups = [group for group in found.values() if group is not None]
    parameters: list[inspect.Parameter] = []
    for name, group in found.items():
        own = signature.parameters[name].replace(kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += [own] if group is None else _parameters(group)
    parameters += map(_parameter, LogOptions.declared())

    @functools.wraps(command)
    def run(*, verbose: bool, quiet: bool, **values: Any) -> None:
        if verbose or quiet:
            logging.getLogger("vepscore").setLevel(logging.DEBUG if verbose else logging.WARNING)
        for group in groups:
            values[group.parameter] = group.kind.build(_take_values(group, values))
        command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by typer
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _find_group(parameter: inspect.Parameter) -> _Group | None:
    annotation = parameter.annotation
    kind = getattr(annotation, "__origin__", annotation)
    if not (isinstance(kind, type) and issubclass(kind, OptionGroup)):
        return None
    options = list(kind.declared())
    for choose in getattr(annotation, "__metadata__", ()):
        options = choose(options)
    return _Group(parameter.name, kind, options)


def _parameters(group: _Group) -> Iterator[inspect.Parameter]:
    for declared in group.options:
        yield _parameter(declared)
        if declared.spec.former is not None:
            hidden = typer.Option(declared.spec.former.flag, hidden=True)
            yield _keyword(_FORMER + declared.name, Annotated[str | None, hidden], None)


def typer_option(group: type[OptionGroup], name: str, **changed: Any) -> Any:
    """Return what typer needs to know of an option, for a command that takes it as a parameter of its own.

    Args:
        group: that declares it.
        name: of the option.
        **changed: fields of `OptionSpec` that the command declares otherwise.
    """
    (spec,) = (declared.spec for declared in group.declared() if declared.name == name)
    return _typer_option(dataclasses.replace(spec, **changed))


def _typer_option(spec: OptionSpec) -> Any:
    return typer.Option(
        *spec.flags,
        help=spec.help,
        rich_help_panel=spec.panel,
        metavar=spec.metavar,
        min=spec.minimum,
        show_default=spec.shows_default,
    )


def _parameter(declared: Declared) -> inspect.Parameter:
    name, kind, default, spec = declared
    if kind == tuple[str, ...] | None:
        kind = list[str] | None
    elif spec.parse is not None:
        kind = str if spec.command_default else str | None
    default = spec.command_default or default
    if default is REQUIRED:
        default = inspect.Parameter.empty
    return _keyword(name, Annotated[kind, _typer_option(spec)], default)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


def _take_values(group: _Group, values: dict[str, Any]) -> dict[str, Any]:
    """Remove the values of a group's options, and return them as the group takes them."""
    taken: dict[str, Any] = {}
    for declared in group.options:
        name, spec, value = declared.name, declared.spec, values.pop(declared.name)
        taken[name] = None if value == [] else value
        if spec.former is not None and (former := values.pop(_FORMER + name)) is not None:
            taken[name] = _renamed(former, spec.former, spec.flags[-1])
    return taken


def _renamed(value: str, former: Former, flag: str) -> str:
    """Return the present value of an option that was given under its former name, with a warning.

    Raises:
        UsageError: the option never had this value.
    """
    if value not in former.values:
        raise UsageError(f"{former.flag} {value}\nexpected one of {', '.join(former.values)}")
    renamed = former.values[value]
    log.warning("%s %s is now %s %s; the old name works until version 0.3", former.flag, value, flag, renamed)
    return renamed
