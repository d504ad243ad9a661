"""Figures of matplotlib as files: .svg or .png, with the same bytes for the same figure."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from vepscore.errors import UsageError
from vepscore.io.atomic import StagedFile, StagedWriter, check_suffix

SUFFIXES = (".svg", ".png")
_POSITION_DIGITS = 4  # shares of the figure's width and height


def require_matplotlib(way_out: str = "") -> None:
    """Makes sure that the library which draws is installed, which is an extra.

    Args:
        way_out: what else the user may do, for the message.

    Raises:
        UsageError: it is not.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            "pictures are drawn with matplotlib, which is not installed",
            hint=f"pip install 'vepscore[plot]'{way_out}",
        ) from error


def save_figure(draw: Callable[[], Any], target: StagedFile) -> None:
    """Draws a figure and saves it under the temporary name of its file, in the format of the file's suffix."""
    import matplotlib

    # Without these, the same figure would be other bytes each time.
    with matplotlib.rc_context({"svg.hashsalt": "vepscore"}):
        suffix = target.path.suffix
        about = {"Date": None} if suffix == ".svg" else {"Software": None}
        figure = draw()
        _fix_layout(figure)
        figure.savefig(target.temporary, format=suffix[1:], dpi=150, metadata=about)


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
        check_suffix(path, SUFFIXES)
        super().__init__(StagedFile(path), path)
        self._draw: Callable[[], Any] | None = None

    def write(self, draw: Callable[[], Any]) -> None:
        """Takes what makes the figure."""
        self._draw = draw

    def _open(self) -> None:
        """There is nothing to draw yet."""

    def _close(self) -> None:
        if self._draw is not None:
            save_figure(self._draw, self._target)
