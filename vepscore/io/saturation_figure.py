"""The figure of a saturation mutagenesis: a logo of the reference's bases over a heat map of all substitutions.

Axis: L bases of the region.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from vepscore.io.figures import SUFFIXES, save_figure
from vepscore.io.output_file import OutputFile, WriterContext
from vepscore.io.results import RecordResult, ResultWriter
from vepscore.io.saturation_table import BASES, SaturationMatrix, largest_score

_COLORS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}  # Okabe and Ito's
_DIVERGING = "PuOr_r"
_UNKNOWN_COLOR = "0.9"
_INCHES_PER_BASE = 0.09
_WIDTH_INCHES = (7.0, 60.0)  # at least, at most
_MARGIN_INCHES = 1.6
_HEIGHT_INCHES = 4.0


@dataclasses.dataclass(frozen=True)
class SaturationPicture(OutputFile):
    """The picture of `vepscore ism`."""

    scorer: str  # or the composite
    chrom: str  # of the region
    start0: int  # of the region, 0-based
    bases: str  # of the reference in the region

    name = "saturation_picture"
    suffixes = SUFFIXES

    def open(self, context: WriterContext) -> ResultWriter:
        matrix = SaturationMatrix(
            chrom=self.chrom,
            start0=self.start0,
            scorer=self.scorer,
            reference=self.bases,
            scores=np.full((len(BASES), len(self.bases)), np.nan, np.float32),
        )
        return SaturationFigureWriter(self.path, matrix)


class SaturationFigureWriter(ResultWriter):
    """Draw the scores of one scorer, as .svg, .png or .pdf; `matrix` has none of them yet."""

    def __init__(self, path: str | Path, matrix: SaturationMatrix) -> None:
        super().__init__(path, SUFFIXES)
        self._matrix = matrix

    def write(self, result: RecordResult) -> None:
        """Take the scores of a record's ALTs."""
        column = result.record.pos1 - 1 - self._matrix.start0
        for allele in result.alleles:
            self._matrix.scores[BASES.index(allele.alt), column] = largest_score(allele, self._matrix.scorer)

    def _close(self) -> None:
        save_figure(lambda: draw_saturation(self._matrix), self._file, self._suffix)
        super()._close()


def draw_saturation(matrix: SaturationMatrix) -> Any:
    """Return a matplotlib figure: the logo, with letters as high as the mean effect of a base, over the heat map."""
    from matplotlib.figure import Figure

    length = len(matrix.reference)
    inches = np.clip(_INCHES_PER_BASE * length + _MARGIN_INCHES, *_WIDTH_INCHES)
    figure = Figure(figsize=(float(inches), _HEIGHT_INCHES), layout="constrained")
    logo, heat = figure.subplots(2, 1, sharex=True, height_ratios=(1.4, 1))
    _draw_logo(logo, matrix)
    image = _draw_heat_map(heat, matrix)
    first1 = matrix.start0 + 1
    heat.set_xlim(first1 - 0.5, first1 + length - 0.5)
    heat.set_xlabel(f"position on {matrix.chrom} (1-based)")
    figure.suptitle(
        f"{matrix.scorer}: every substitution of {matrix.chrom}:{first1:,}-{first1 + length - 1:,}",
        fontsize="medium",
    )
    figure.colorbar(image, ax=heat, label="score", fraction=0.05, pad=0.01, aspect=8)
    return figure


def _draw_logo(axes: Any, matrix: SaturationMatrix) -> None:
    from matplotlib.patches import PathPatch

    letters = _unit_letters()
    heights = matrix.mean_effect
    for index, (base, height) in enumerate(zip(matrix.reference, heights, strict=True)):
        if base in letters and height != 0:
            left = matrix.start0 + 1 + index - 0.5
            axes.add_patch(
                PathPatch(_placed(letters[base], left, float(height)), facecolor=_COLORS[base], linewidth=0)
            )
    low, high = min(0.0, heights.min()), max(0.0, heights.max())
    room = 0.05 * (high - low) or 1.0
    axes.set_ylim(low - room * (low < 0), high + room)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_ylabel("mean effect")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="x", labelbottom=False)


def _draw_heat_map(axes: Any, matrix: SaturationMatrix) -> Any:
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    first1, length = matrix.start0 + 1, len(matrix.reference)
    known = matrix.scores[~np.isnan(matrix.scores)]
    limit = float(np.abs(known).max()) if known.size else 0.0
    colors = colormaps[_DIVERGING].with_extremes(bad=_UNKNOWN_COLOR)
    image = axes.imshow(
        np.ma.masked_invalid(matrix.scores),
        aspect="auto",
        interpolation="nearest",
        cmap=colors,
        vmin=-limit or -1.0,
        vmax=limit or 1.0,
        extent=(first1 - 0.5, first1 + length - 0.5, len(BASES) - 0.5, -0.5),
    )
    marked = [(index, BASES.index(base)) for index, base in enumerate(matrix.reference) if base in BASES]
    if marked:
        columns, rows = zip(*marked, strict=True)
        axes.plot(
            np.array(columns) + first1, rows, linestyle="none", marker=".", markersize=2.5, color="0.25"
        )
    axes.set_yticks(range(len(BASES)), list(BASES))
    axes.set_ylabel("substituted by")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    return image


def _unit_letters() -> dict[str, Any]:
    """Return the outline of each base's letter, scaled to a width and height of 1."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath
    from matplotlib.transforms import Affine2D

    letters = {}
    for base in BASES:
        outline = TextPath((0, 0), base, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
        box = outline.get_extents()
        fit = Affine2D().translate(-box.x0, -box.y0).scale(1 / box.width, 1 / box.height)
        letters[base] = outline.transformed(fit)
    return letters


def _placed(letter: Any, left: float, height: float) -> Any:
    """Return a letter above the zero line, or below it for a negative height; always upright."""
    from matplotlib.transforms import Affine2D

    return letter.transformed(Affine2D().scale(0.92, abs(height)).translate(left + 0.04, min(height, 0.0)))
