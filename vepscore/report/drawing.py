"""The picture of a variant with matplotlib: the lanes that the page draws, in the same colours.

Coordinates of the scene are 0-based and half-open; the axis has 1-based positions, so that base p is drawn at p + 1.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vepscore.report.gene_model import Interval
from vepscore.report.scene import BIN_BP, GeneLane, Profile, Scene, SiteShift

# Okabe and Ito's, but for the arcs, whose purple is darker, to be read on white.
_REFERENCE, _ALTERNATE, _ARC = "#0072B2", "#D55E00", "#7B3F73"
_REFERENCE_FILL, _EXON, _GREY, _VEIL = "#c3dcec", "#3d4f63", "0.45", "0.93"
_WIDTH_INCHES = 11.0
_TICKS = 6
_LABEL_SHARE = 0.045  # of the view, between labels of splice sites
_ARC_POINTS = 60
_NAME_LENGTH = 24  # characters of a lane's name

_Lane = tuple[float, Callable[[Any], None]]  # height in inches, and what draws it


def draw_scene(scene: Scene, view: Interval | None = None) -> Any:
    """A matplotlib figure.

    Args:
        scene: what is known of the variant.
        view: what is shown of it; None for its focus.
    """
    from matplotlib.figure import Figure

    view = view or scene.focus
    lanes = [*_lanes(scene, view)]
    heights = [height for height, _ in lanes]
    figure = Figure(figsize=(_WIDTH_INCHES, sum(heights) + 1.0), layout="constrained")
    axes = figure.subplots(len(lanes), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    for own, (_, draw) in zip(axes, lanes, strict=True):
        own.spines[["top", "right", "left"]].set_visible(False)
        own.tick_params(axis="x", bottom=False, labelbottom=False)
        own.set_yticks([])
        draw(own)
        own.axvspan(
            scene.variant.start0 + 0.5, scene.variant.end0 + 0.5, color="0.2", alpha=0.25, linewidth=1
        )
    axes[-1].set_xlim(view.start0 + 0.5, view.end0 + 0.5)
    _draw_axis(axes[-1], scene)
    figure.suptitle(f"{scene.name}", fontsize="medium", fontweight="bold")
    if scene.profiles:
        figure.legend(
            *axes[-1].get_legend_handles_labels(), loc="outside lower right", fontsize="x-small", ncols=2
        )
    if scene.notes:
        figure.supxlabel("; ".join(scene.notes), fontsize="x-small", color=_GREY)
    return figure


def _lanes(scene: Scene, view: Interval) -> list[_Lane]:
    lanes: list[_Lane] = []
    if scene.junctions:
        lanes.append((0.9, lambda axes: _draw_junctions(axes, scene, view)))
    if scene.predicted:
        lanes.append((1.3, lambda axes: _draw_sites(axes, scene, view)))
    if shifts := [shift for shift in scene.shifts if _sees(view, shift.pos0, shift.pos0 + 1)]:
        lanes.append((0.2 + 0.2 * len(shifts), lambda axes: _draw_shifts(axes, shifts, view)))
    genes = [
        gene for gene in scene.genes if any(_sees(view, t[0].start0, t[-1].end0) for t in gene.transcripts)
    ]
    rows = sum(len(gene.transcripts) for gene in genes)
    lanes.append((0.2 + 0.22 * rows, lambda axes: _draw_genes(axes, genes, view)))
    for profile in scene.profiles:
        lanes.append((0.7, lambda axes, own=profile: _draw_profile(axes, own, scene, view)))
    return lanes


def _sees(view: Interval, start0: int, end0: int) -> bool:
    return start0 < view.end0 and end0 > view.start0


def _name(axes: Any, *lines: str) -> None:
    lines = [line if len(line) <= _NAME_LENGTH else f"{line[: _NAME_LENGTH - 1]}…" for line in lines]
    axes.set_ylabel("\n".join(lines), rotation=0, ha="right", va="center", fontsize="small")


def _draw_axis(axes: Any, scene: Scene) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.tick_params(axis="x", bottom=True, labelbottom=True, labelsize="small")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=_TICKS, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel(f"position on {scene.chrom} (1-based)", fontsize="small")


def _draw_junctions(axes: Any, scene: Scene, view: Interval) -> None:
    """Half circles, as high as their junctions are wide in the view, with the size of the log fold change."""
    _name(axes, "junctions", "|ln fold change|")
    largest = max(one.score for one in scene.junctions)
    angle = np.linspace(0, np.pi, _ARC_POINTS)
    axes.set_ylim(0, 1.3)
    for one in scene.junctions:
        if not _sees(view, one.start0, one.end0):
            continue
        width = one.end0 - one.start0
        height = min(1.0, 0.3 + width / view.length_bp)
        x, y = one.start0 + 0.5 + width * (1 - np.cos(angle)) / 2, height * np.sin(angle)
        axes.plot(x, y, color=_ARC, linewidth=1 + 2 * one.score / largest)
        inside = np.flatnonzero((x > view.start0) & (x < view.end0))
        if len(inside):
            at = inside[len(inside) // 2]
            axes.annotate(
                f"{one.score:.3g}",
                (x[at], y[at] + 0.04),
                ha="center",
                va="bottom",
                fontsize="x-small",
                color=_ARC,
            )


def _draw_sites(axes: Any, scene: Scene, view: Interval) -> None:
    """Probabilities: of the reference upwards, of the alternate downwards; the largest changes have their numbers."""
    _name(axes, "splice sites", "probability", "reference ▴", "alternate ▾")
    seen = [site for site in scene.sites if _sees(view, site.pos0, site.pos0 + 1)]
    positions = np.array([site.pos0 + 1 for site in seen])
    width = max(1.0, view.length_bp / 300)
    if seen:
        axes.bar(positions, [site.reference for site in seen], width, color=_REFERENCE)
        axes.bar(positions, [-site.alternate for site in seen], width, color=_ALTERNATE)
    taken: list[int] = []
    for site in sorted(seen, key=lambda one: (-abs(one.alternate - one.reference), one.pos0)):
        if any(abs(site.pos0 - other) < _LABEL_SHARE * view.length_bp for other in taken):
            continue
        taken.append(site.pos0)
        label = f"{site.kind[0].upper()} {site.reference:.2f}"
        place = {"ha": "center", "fontsize": "x-small"}
        axes.text(site.pos0 + 1, site.reference + 0.04, label, va="bottom", color=_REFERENCE, **place)
        axes.text(
            site.pos0 + 1,
            -site.alternate - 0.04,
            f"{site.alternate:.2f}",
            va="top",
            color=_ALTERNATE,
            **place,
        )
    axes.axhline(0, color="black", linewidth=0.6)
    axes.set_ylim(-1.3, 1.3)
    _veil(axes, scene)


def _draw_shifts(axes: Any, shifts: list[SiteShift], view: Interval) -> None:
    _name(axes, "site changes", "SPLICE_EVENTS")
    for level, one in enumerate(sorted(shifts, key=lambda shift: shift.pos0)):
        is_gain = one.score > 0
        axes.plot(
            one.pos0 + 1,
            -level,
            marker="^" if is_gain else "v",
            color=_ALTERNATE,
            markerfacecolor=_ALTERNATE if is_gain else "white",
        )
        is_right = one.pos0 > (view.start0 + view.end0) / 2
        axes.annotate(
            f"{one.kind} {'gain +' if is_gain else 'loss '}{one.score:.3g}",
            (one.pos0 + 1, -level),
            xytext=(-7 if is_right else 7, 0),
            textcoords="offset points",
            ha="right" if is_right else "left",
            va="center",
            fontsize="x-small",
        )
    axes.set_ylim(0.6 - len(shifts), 0.6)


def _draw_genes(axes: Any, genes: Sequence[GeneLane], view: Interval) -> None:
    row, names = 0, []
    for gene in genes:
        for index, exons in enumerate(gene.transcripts):
            if index == 0:
                names.append((-row, f"{gene.name} {'◂' if gene.strand == '-' else '▸'}"))
            axes.plot(
                [exons[0].start0 + 0.5, exons[-1].end0 + 0.5],
                [-row, -row],
                color=_GREY,
                linewidth=0.8,
                zorder=0,
            )
            spans = [(e.start0 + 0.5, e.length_bp) for e in exons if _sees(view, *e)]
            axes.broken_barh(spans, (-row - 0.3, 0.6), color=_EXON)
            row += 1
    axes.set_ylim(0.6 - max(row, 1), 0.6)
    axes.set_yticks([y for y, _ in names], [name for _, name in names], fontsize="small", style="italic")
    axes.tick_params(axis="y", length=0)


def _draw_profile(axes: Any, profile: Profile, scene: Scene, view: Interval) -> None:
    """Reference as an area, alternate as a dashed line; the number is the top of the lane."""
    _name(axes, profile.output, profile.tissue or profile.track)
    edges = profile.start0 + 0.5 + BIN_BP * np.arange(len(profile.reference) + 1)
    inside = (edges[1:] > view.start0) & (edges[:-1] < view.end0)
    reference, alternate = np.array(profile.reference), np.array(profile.alternate)
    top = max([*reference[inside], *alternate[inside]], default=0.0) or 1.0
    axes.stairs(
        reference, edges, fill=True, facecolor=_REFERENCE_FILL, edgecolor=_REFERENCE, label="reference"
    )
    axes.stairs(alternate, edges, color=_ALTERNATE, linestyle=(0, (4, 1.5)), linewidth=1.4, label="alternate")
    axes.set_ylim(0, 1.1 * top)
    axes.text(
        1, 1, f"{top:.3g}", transform=axes.transAxes, ha="right", va="top", fontsize="x-small", color=_GREY
    )
    _veil(axes, scene)


def _veil(axes: Any, scene: Scene) -> None:
    """Grey where nothing was predicted."""
    for start0, end0 in (
        (scene.extent.start0, scene.predicted.start0),
        (scene.predicted.end0, scene.extent.end0),
    ):
        if start0 < end0:
            axes.axvspan(start0 + 0.5, end0 + 0.5, color=_VEIL, linewidth=0)
