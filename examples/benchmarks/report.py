"""Write the results of benchmarks: tables on standard output, JSON and plots."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def report(title: str, rows: Sequence[Row], output: Path | None) -> None:
    """Print a table; with a folder, write it there as JSON, named after the title."""
    print_table(title, rows)
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        path = output / f"{title.replace(' ', '_')}.json"
        path.write_text(json.dumps(list(rows), indent=2) + "\n")


def print_table(title: str, rows: Sequence[Row]) -> None:
    """Print rows as a table; all have the keys of the first, which are the columns."""
    columns = list(rows[0])
    cells = [[_cell(row[column]) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    print(f"\n{title}")
    for line in [columns, *cells]:
        padded = [f"{line[0]:{widths[0]}}"]
        padded += [f"{cell:>{width}}" for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join(padded), flush=True)


def plot(path: Path, rows: Sequence[Row], *, x: str, y: str, by: str) -> None:
    """Plot a line for each value of the column `by`, with both axes logarithmic; the path's suffix gives the format."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise SystemExit("plots need matplotlib: pip install matplotlib") from None
    figure = Figure(figsize=(5, 3.5), layout="constrained")
    axes = figure.subplots()
    for value in dict.fromkeys(row[by] for row in rows):
        own = [row for row in rows if row[by] == value]
        axes.plot([row[x] for row in own], [row[y] for row in own], marker="o", label=value)
    axes.set(xlabel=x, ylabel=y, xscale="log", yscale="log")
    axes.legend()
    figure.savefig(path)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
