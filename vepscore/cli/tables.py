"""Print tables on standard output: drawn on a terminal, tab-separated elsewhere."""

import sys
from collections.abc import Iterable, Sequence

from vepscore.paths import escape_bytes


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, plain: bool = False) -> None:
    """Print rows; if `plain`, or if standard output is no terminal, tab-separated and without column names."""
    lines = [[" ".join(cell.split()) for cell in row] for row in rows]
    if plain or not sys.stdout.isatty():
        for line in lines:
            print("\t".join(line))
        return
    import rich.box
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=rich.box.SIMPLE_HEAD)
    for column in table.columns:
        column.overflow = "fold"
    for line in lines:
        table.add_row(*map(escape_bytes, line))
    Console(markup=False, highlight=False).print(table)


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print `key: value` lines with the values aligned; further lines of a value are indented."""
    fields = list(fields)
    width = max(len(key) for key, _ in fields) + 2
    for key, value in fields:
        first, *rest = value.splitlines() or [""]
        print(f"{key + ':':<{width}}{first}".rstrip())
        for line in rest:
            print(f"{'':{width}}{line}".rstrip())
