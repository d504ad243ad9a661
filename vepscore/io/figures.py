"""Figures of matplotlib as files: .svg or .png, with the same bytes for the same figure.

A figure has the style of matplotlib's own defaults, whatever a matplotlibrc or the caller's process has set, and needs
no backend. What the process has set is the same afterwards.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vepscore.errors import UsageError
from vepscore.io.atomic import StagedWriter, Target
from vepscore.io.streams import open_target, output_suffix

SUFFIXES = (".svg", ".png")
_POSITION_DIGITS = 4  # shares of the figure's width and height
_BACKEND_VARIABLE = "MPLBACKEND"


def require_matplotlib(way_out: str = "") -> None:
    """Makes sure that the library which draws is installed, which is an extra.

    Args:
        way_out: what else the user may do, for the message.

    Raises:
        UsageError: it is not.
    """
    try:
        _import_matplotlib()
    except ModuleNotFoundError as error:
        raise UsageError(
            "pictures are drawn with matplotlib, which is not installed",
            hint=f"pip install 'vepscore[plot]'{way_out}",
        ) from error


def save_figure(draw: Callable[[], Any], target: Target, suffix: str) -> None:
    """Draws a figure and writes it in the format of a suffix."""
    with _own_style():
        about = {"Date": None} if suffix == ".svg" else {"Software": None}
        figure = draw()
        _fix_layout(figure)
        with contextlib.closing(target.open()) as file:
            figure.savefig(file, format=suffix[1:], dpi=150, metadata=about)


@contextlib.contextmanager
def _own_style() -> Iterator[None]:
    """Use matplotlib's own defaults; without the salt, the same figure would be other bytes each time."""
    matplotlib = _import_matplotlib()
    style = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(style | {"svg.hashsalt": "vepscore"}):
        yield


def _import_matplotlib() -> Any:
    """Import matplotlib also where the environment names a backend that is not installed, as a notebook's does.

    matplotlib reads the name when it is first imported, and refuses one that it does not find.
    """
    is_first = "matplotlib" not in sys.modules
    backend = os.environ.pop(_BACKEND_VARIABLE, None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ[_BACKEND_VARIABLE] = backend
    if is_first and backend:
        with contextlib.suppress(ValueError):
            matplotlib.rcParams["backend"] = backend  # for other code of the process
    return matplotlib


def _fix_layout(figure: Any) -> None:
    """Lays a figure out once, in round numbers: the solver's last digits are not the same each time."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(edge, _POSITION_DIGITS) for edge in axes.get_position().bounds])


class FigureWriter(StagedWriter):
    """Writes one figure.

    Args:
        path: where the file shall appear; .svg or .png.

    Raises:
        UsageError: the path has another suffix than SUFFIXES.
    """

    def __init__(self, path: Path) -> None:
        self._suffix = output_suffix(path, SUFFIXES)
        super().__init__(open_target(path), path)
        self._draw: Callable[[], Any] | None = None

    def write(self, draw: Callable[[], Any]) -> None:
        """Takes what makes the figure."""
        self._draw = draw

    def _open(self) -> None:
        """There is nothing to draw yet."""

    def _close(self) -> None:
        if self._draw is not None:
            save_figure(self._draw, self._target, self._suffix)
