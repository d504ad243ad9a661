"""Write vepscore/cli/README.md, the reference of the command line, from the commands themselves: `make reference`."""

import enum
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperArgument

from vepscore.cli.main import app

PAGE = Path(__file__).resolve().parents[1] / "vepscore" / "cli" / "README.md"

INTRODUCTION = """# Command line

`make reference` generates this page from the help of the commands, and a test checks that it is current. Each command
has `--help`. Errors, logs and progress go to standard error.

| exit status | meaning |
|---|---|
| 0 | done, even if some alleles have a status other than `OK` |
| 1 | failed; nothing is left at the output paths, and finished work is in the journal |
| 2 | invalid or conflicting options |
| 3 | with `--strict`: done, but some allele was not scored; `NOT_APPLICABLE` does not count |
| 130, 143 | stopped by SIGINT or SIGTERM; the same command resumes |

| environment variable | meaning |
|---|---|
| `VEPSCORE_CACHE` | directory for indexes, parsed annotations, compiled code; default: the system's cache directory |
| `VEPSCORE_WEIGHTS` | directory of your checkpoints; default: `weights` in the user's data directory |
| `VEPSCORE_METADATA_URL` | mirror of the official track metadata, for `weights fetch` |
| `NPROC` | number of CPU threads; default: what the scheduler has granted, or all cores |
"""
METAVARS = {int: "INTEGER", float: "FLOAT", str: "TEXT", Path: "PATH"}


def reference() -> str:
    """Return the page."""
    return "\n".join([INTRODUCTION, *_describe(typer.main.get_command(app), "vepscore")])


def option_names() -> set[str]:
    """Return the names of the options of all commands, hidden ones included."""
    return set(_option_names(typer.main.get_command(app)))


def _option_names(command: Any) -> Iterator[str]:
    for parameter in command.params:
        yield from (*parameter.opts, *parameter.secondary_opts)
    for subcommand in getattr(command, "commands", {}).values():
        yield from _option_names(subcommand)


def _describe(command: Any, path: str) -> Iterator[str]:
    """Yield the lines about a command and its subcommands."""
    subcommands = {name: sub for name, sub in getattr(command, "commands", {}).items() if not sub.hidden}
    yield f"## {path}\n\n{_text(command.help)}\n"
    for name, sub in subcommands.items():
        summary = _text(sub.help).split("\n", maxsplit=1)[0]
        yield f"- [`{path} {name}`](#{path.replace(' ', '-')}-{name}): {summary}"
    yield from [""] if subcommands else [f"```text\n{_usage(command, path)}\n```\n"]
    for panel, parameters in _panels(command).items():
        yield f"| {panel} | meaning |\n|---|---|"
        hints = typing.get_type_hints(command.callback)
        yield from (f"| {_name(item, hints[item.name])} | {_meaning(item)} |" for item in parameters)
        yield ""
    for name, sub in subcommands.items():
        yield from _describe(sub, f"{path} {name}")


def _usage(command: Any, path: str) -> str:
    return " ".join([path, "[OPTIONS]", *(item.metavar for item in _panels(command).get("argument", []))])


def _panels(command: Any) -> dict[str, list[Any]]:
    """Return the arguments and options by the panels of the help, in the order of their declaration."""
    panels: dict[str, list[Any]] = {}
    for item in command.params:
        if item.hidden or item.name == "help":
            continue
        default = "argument" if isinstance(item, TyperArgument) else "option"
        panels.setdefault((item.rich_help_panel or default).lower(), []).append(item)
    return panels


def _name(item: Any, hint: Any) -> str:
    """Return an option's names and kind of value, or an argument's placeholder."""
    if isinstance(item, TyperArgument):
        return f"`{_text(item.metavar)}`"
    names = ", ".join(f"`{name}`" for name in (*item.opts, *item.secondary_opts))
    return names if item.is_flag else f"{names} {_text(item.metavar or _metavar(hint))}"


def _metavar(hint: Any) -> str:
    """Return the kind of value of a type such as `list[str] | None`."""
    kind = next((part for part in typing.get_args(hint) if part is not type(None)), hint)
    kind = typing.get_args(kind)[0] if typing.get_args(kind) else kind
    if issubclass(kind, enum.Enum):
        return "|".join(str(member.value) for member in kind)
    return METAVARS[kind]


def _meaning(item: Any) -> str:
    """Return the help, and the default or that a value is required."""
    text = _text(item.help)
    if item.required and not isinstance(item, TyperArgument):
        return f"{text} Required.".strip()
    if item.show_default and item.default is not None and not getattr(item, "is_flag", False):
        return f"{text} Default: {getattr(item.default, 'value', item.default)}.".strip()
    return text


def _text(text: str | None) -> str:
    return (text or "").strip().replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
