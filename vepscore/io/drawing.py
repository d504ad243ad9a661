"""Vector drawings of lines, outlines and texts: written as SVG by this module, as PNG or PDF by matplotlib.

Coordinates are in pixels: x to the right, y downward.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from vepscore.io.atomic import writing
from vepscore.io.figures import SUFFIXES, require_matplotlib, save_figure
from vepscore.io.staged_writer import StagedWriter
from vepscore.paths import escape_bytes

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

_FONTS = "system-ui, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_FONT_SIZE = 12.0
_HALO_WIDTH = 3.0
_PIXELS_PER_INCH = 72  # a font then has as many points as pixels
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")  # not allowed in XML
_ALIGNMENTS: Mapping[Anchor, Literal["left", "center", "right"]] = {
    "start": "left",
    "middle": "center",
    "end": "right",
}  # SVG to matplotlib


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """Lines through points, or filled outlines."""

    parts: tuple[tuple[Point, ...], ...]  # points of each line or outline
    color: str | None = None  # of the line; None: no line
    fill: str | None = None  # of the inside; None: the lines are open
    width: float = 1.0
    dash: tuple[float, float] | None = None  # lengths of a dash and of the gap after it
    opacity: float = 1.0  # of the fill
    title: str = ""  # shown by a browser under the pointer


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One line of text."""

    x: float
    y: float  # of the baseline
    text: str
    color: str
    anchor: Anchor = "start"  # the part of the text that is at x
    size: float = _FONT_SIZE
    is_bold: bool = False
    is_italic: bool = False
    has_halo: bool = False  # a white edge, to be read over lines


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Shapes, the first at the back."""

    width: float
    height: float
    title: str  # what the drawing shows, for readers who cannot see it
    shapes: tuple[Stroke | Label, ...]


class DrawingWriter(StagedWriter):
    """Write one drawing as .svg, .png or .pdf; raise UsageError if matplotlib is needed and not installed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SUFFIXES)
        if self._suffix != ".svg":
            require_matplotlib("; or write .svg, which needs none")

    def write(self, drawing: Drawing) -> None:
        """Write the drawing."""
        with writing(self.name):
            if self._suffix == ".svg":
                self._file.write(escape_bytes(to_svg(drawing)).encode("utf-8"))
            else:
                save_figure(lambda: to_figure(drawing), self._file, self._suffix)


def to_svg(drawing: Drawing) -> str:
    """Return the drawing as an SVG element. Texts are escaped, and nothing in it names another file."""
    size = f"{_number(drawing.width)} {_number(drawing.height)}"
    shapes = "".join(
        _stroke_to_svg(shape) if isinstance(shape, Stroke) else _label_to_svg(shape)
        for shape in drawing.shapes
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" viewBox="0 0 {size}" role="img" '
        f'aria-label="{_escape(drawing.title)}" font-family="{_FONTS}" font-size="{_number(_FONT_SIZE)}">'
        f"{shapes}</svg>"
    )


def _stroke_to_svg(stroke: Stroke) -> str:
    attributes = {
        "d": "".join(_path_data(part, is_closed=stroke.fill is not None) for part in stroke.parts),
        "fill": stroke.fill or "none",
        "fill-opacity": _number(stroke.opacity) if stroke.opacity < 1 else "",
        "stroke": stroke.color or "",
        "stroke-width": _number(stroke.width) if stroke.color and stroke.width != 1 else "",
        "stroke-dasharray": " ".join(map(_number, stroke.dash)) if stroke.dash else "",
    }
    title = f"<title>{_escape(stroke.title)}</title>" if stroke.title else ""
    return f"<path{_attributes(attributes)}>{title}</path>" if title else f"<path{_attributes(attributes)}/>"


def _label_to_svg(label: Label) -> str:
    attributes = {
        "x": _tenths(round(10 * label.x)),
        "y": _tenths(round(10 * label.y)),
        "fill": label.color,
        "text-anchor": label.anchor if label.anchor != "start" else "",
        "font-size": _number(label.size) if label.size != _FONT_SIZE else "",
        "font-weight": "bold" if label.is_bold else "",
        "font-style": "italic" if label.is_italic else "",
        **({"stroke": "#fff", "stroke-width": "3", "paint-order": "stroke"} if label.has_halo else {}),
    }
    return f"<text{_attributes(attributes)}>{_escape(label.text)}</text>"


def _attributes(values: dict[str, str]) -> str:
    return "".join(f' {name}="{value}"' for name, value in values.items() if value)


def _escape(text: str) -> str:
    return escape(_CONTROL.sub("\N{REPLACEMENT CHARACTER}", text), {'"': "&quot;"})


def _path_data(points: tuple[Point, ...], *, is_closed: bool) -> str:
    """Return the path's commands in the shortest form: in tenths of a pixel, relative to the point before."""
    (x, y), *others = [(round(10 * x), round(10 * y)) for x, y in points]
    commands = [f"M{_tenths(x)} {_tenths(y)}"]
    for next_x, next_y in others:
        right, down = next_x - x, next_y - y
        x, y = next_x, next_y
        if right and down:
            commands.append(f"l{_tenths(right)} {_tenths(down)}")
        elif right or down:
            commands.append(f"h{_tenths(right)}" if right else f"v{_tenths(down)}")
    return "".join(commands) + ("z" if is_closed else "")


@functools.lru_cache(maxsize=1 << 15)
def _tenths(count: int) -> str:
    return f"{count / 10:g}"


def _number(value: float) -> str:
    return f"{round(value, 2):g}"


def to_figure(drawing: Drawing) -> Any:
    """Return the drawing as a matplotlib figure."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(drawing.width / _PIXELS_PER_INCH, drawing.height / _PIXELS_PER_INCH))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, drawing.width)
    axes.set_ylim(drawing.height, 0)
    for order, shape in enumerate(drawing.shapes):
        artist = _stroke_artist(shape) if isinstance(shape, Stroke) else _label_artist(shape)
        artist.set_zorder(order)
        axes.add_artist(artist)
    return figure


def _stroke_artist(stroke: Stroke) -> Any:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    outlines = []
    for part in stroke.parts:
        points = (*part, part[0]) if stroke.fill is not None else part
        outlines.append(Outline(points, closed=stroke.fill is not None))
    return PathPatch(
        Outline.make_compound_path(*outlines),
        facecolor=(stroke.fill, stroke.opacity) if stroke.fill else "none",
        edgecolor=stroke.color or "none",
        linewidth=stroke.width if stroke.color else 0,
        linestyle=(0, stroke.dash) if stroke.dash else "solid",
        capstyle="butt",
    )


def _label_artist(label: Label) -> Any:
    from matplotlib.patheffects import withStroke
    from matplotlib.text import Text

    return Text(
        label.x,
        label.y,
        label.text,
        color=label.color,
        fontsize=label.size,
        fontweight="bold" if label.is_bold else "normal",
        fontstyle="italic" if label.is_italic else "normal",
        horizontalalignment=_ALIGNMENTS[label.anchor],
        verticalalignment="baseline",
        parse_math=False,
        path_effects=[withStroke(linewidth=_HALO_WIDTH, foreground="white")] if label.has_halo else None,
    )
