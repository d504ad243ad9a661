"""Matplotlib figures as files: .svg, .png or .pdf, with the same bytes for the same figure.

Figures have matplotlib's default style, whatever a matplotlibrc or the caller's process has set, and need no backend.
The settings of the process are restored afterwards.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from vepscore.errors import requiring

SUFFIXES = (".svg", ".png", ".pdf")
_POSITION_DIGITS = 4  # of fractions of the figure's width and height
_UNDATED = {".svg": {"Date": None}, ".png": {"Software": None}, ".pdf": {"CreationDate": None}}
_BACKEND_VARIABLE = "MPLBACKEND"


def require_matplotlib(alternative: str = "") -> None:
    """Check that matplotlib is installed, which is an optional dependency; `alternative` ends the hint.

    Raises:
        UsageError: it is not.
    """
    with requiring("pictures are drawn with matplotlib", "plot", alternative):
        _import_matplotlib()


def save_figure(draw: Callable[[], Any], file: BinaryIO, suffix: str) -> None:
    """Draw a figure, and write it to a file in the format of a suffix."""
    with _own_style():
        figure = draw()
        _fix_layout(figure)
        figure.savefig(file, format=suffix[1:], dpi=150, metadata=_UNDATED[suffix])


@contextlib.contextmanager
def _own_style() -> Iterator[None]:
    """Set matplotlib's defaults, and a salt, without which the same figure would have other bytes each time."""
    matplotlib = _import_matplotlib()
    style = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(style | {"svg.hashsalt": "vepscore"}):
        yield


def _import_matplotlib() -> Any:
    """Import matplotlib, even if the environment names a backend that is not installed, as a notebook's does.

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
    """Lay a figure out once, with rounded positions: the last digits of the solver vary."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position([round(edge, _POSITION_DIGITS) for edge in axes.get_position().bounds])
