"""`vepscore scorers`: list the scorers and where their code comes from."""

import inspect
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.tables import print_fields, print_table
from vepscore.errors import PluginError

if TYPE_CHECKING:
    from vepscore.contract import Scorer
    from vepscore.engine.scorer_plugins import PluginEntry

_BROKEN = "broken: "

Name = Annotated[str | None, typer.Argument(metavar="[NAME]", help="Scorer to show. Default: list all.")]
Check = Annotated[
    bool, typer.Option("--check", help="Import each scorer, and exit with status 1 if one is broken.")
]
Plain = Annotated[
    bool, typer.Option("--plain", help="Print tab-separated lines without a header, on a terminal too.")
]


def scorers(name: Name = None, check: Check = False, plain: Plain = False) -> None:
    """List the scorers, or show one.

    Listing imports none of them. Columns: name, origin, module, and a remark if there is one.
    """
    from vepscore.engine.scorer_plugins import find_entries, list_scorers

    if name is not None:
        _show(find_entries([name])[0])
        return
    entries = list_scorers()
    remarks = [_check(entry) if check else _remark(entry) for entry in entries]
    rows = [
        (entry.name, entry.origin, entry.module, remark)
        for entry, remark in zip(entries, remarks, strict=True)
    ]
    print_table(("scorer", "from", "module", "remark"), rows, plain=plain)
    if any(remark.startswith(_BROKEN) for remark in remarks):
        raise typer.Exit(PluginError.exit_status)


def _remark(entry: "PluginEntry") -> str:
    return f"shadowed by {entry.shadowed_by}" if entry.shadowed_by else ""


def _check(entry: "PluginEntry") -> str:
    from vepscore.engine.scorer_plugins import load_scorer

    try:
        load_scorer(entry)
    except PluginError as error:
        return _BROKEN + error.message.partition("\n")[2]
    return _remark(entry) or "ok"


def _show(entry: "PluginEntry") -> None:
    from vepscore.engine.scorer_plugins import load_scorer

    scorer = load_scorer(entry)
    print_fields(
        [
            ("scorer", entry.name),
            ("output", str(scorer.output)),
            ("needs", _needs(scorer)),
            ("from", entry.origin),
            ("module", entry.module),
        ]
    )
    print()
    print(inspect.getdoc(type(scorer)) or "no description")


def _needs(scorer: "Scorer") -> str:
    needs = ["genes (--genes)"] * scorer.needs_genes + ["poly(A) sites (--polya)"] * scorer.needs_polya
    return ", ".join(needs) or "nothing but the reference"
