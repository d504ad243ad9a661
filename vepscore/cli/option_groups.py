"""Turn groups of options into parameters of commands.

A command is a function with parameters that are annotated with an `OptionGroup`. `expand` replaces each of them by the
options of its group, as typer takes them, and adds -v and -q. `Annotated[Group, Without("name")]` and `Only` choose
among them, and `Annotated[Group, Changed("name", help="…")]` declares one otherwise for this command.
"""

import dataclasses
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import typer

from vepscore.cli.logs import Quiet, Verbose, set_level
from vepscore.errors import UsageError
from vepscore.options.option_spec import REQUIRED, Declared, Former, OptionGroup, OptionSpec

log = logging.getLogger(__name__)

_LOG_PARAMETERS = [
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=False)
    for name, kind in (("verbose", Verbose), ("quiet", Quiet))
]


class Without:
    """Marks the options of a group that a command does not take: they keep their defaults."""

    def __init__(self, *names: str) -> None:
        self.names = names


class Only:
    """Marks the only options of a group that a command takes."""

    def __init__(self, *names: str) -> None:
        self.names = names


class Changed:
    """Marks an option of a group that a command declares otherwise.

    Args:
        name: of the option.
        **declared: fields of `OptionSpec`.
    """

    def __init__(self, name: str, **declared: Any) -> None:
        self.name, self.declared = name, declared


class _Group(NamedTuple):
    """A parameter that stands for a group."""

    parameter: str
    kind: type[OptionGroup]
    options: tuple[Declared, ...]


def expand(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose groups are replaced by their options."""
    signature = inspect.signature(command)
    found = {name: _find_group(parameter) for name, parameter in signature.parameters.items()}
    groups = [group for group in found.values() if group is not None]
    parameters: list[inspect.Parameter] = []
    for name, group in found.items():
        own = signature.parameters[name].replace(kind=inspect.Parameter.KEYWORD_ONLY)
        parameters += [own] if group is None else _parameters(group)
    parameters += _LOG_PARAMETERS

    @functools.wraps(command)
    def run(*, verbose: bool, quiet: bool, **values: Any) -> None:
        if verbose or quiet:
            set_level(verbose=verbose, quiet=quiet)
        for group in groups:
            values[group.parameter] = group.kind.build(_take_values(group, values))
        command(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # read by typer
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _find_group(parameter: inspect.Parameter) -> _Group | None:
    kind, *marks = (
        get_args(parameter.annotation)
        if get_origin(parameter.annotation) is Annotated
        else (parameter.annotation,)
    )
    if not (isinstance(kind, type) and issubclass(kind, OptionGroup)):
        return None
    options = [declared for declared in kind.declared() if all(_is_taken(declared, mark) for mark in marks)]
    for mark in marks:
        if isinstance(mark, Changed):
            options = [_change(declared, mark) for declared in options]
    return _Group(parameter.name, kind, tuple(options))


def _is_taken(declared: Declared, mark: object) -> bool:
    if isinstance(mark, Without):
        return declared.name not in mark.names
    return not isinstance(mark, Only) or declared.name in mark.names


def _change(declared: Declared, mark: Changed) -> Declared:
    if declared.name != mark.name:
        return declared
    return declared._replace(spec=dataclasses.replace(declared.spec, **mark.declared))


def _parameters(group: _Group) -> Iterator[inspect.Parameter]:
    for declared in group.options:
        yield _parameter(declared)
        if declared.spec.former is not None:
            yield _former_parameter(declared.spec.former)


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
    option = _typer_option(spec)
    default = spec.command_default or default
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[kind, option],
        default=inspect.Parameter.empty if default is REQUIRED else default,
    )


def _former_parameter(former: Former) -> inspect.Parameter:
    option = typer.Option(former.flag, hidden=True)
    return inspect.Parameter(
        _former_name(former),
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[str | None, option],
        default=None,
    )


def _former_name(former: Former) -> str:
    return former.flag.lstrip("-").replace("-", "_")


def _take_values(group: _Group, values: dict[str, Any]) -> dict[str, Any]:
    """Remove the values of a group's options, and return them as the group takes them."""
    taken: dict[str, Any] = {}
    for declared in group.options:
        name, spec, value = declared.name, declared.spec, values.pop(declared.name)
        taken[name] = None if value == [] else value
        if spec.former is not None:
            former = values.pop(_former_name(spec.former))
            if former is not None:
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
