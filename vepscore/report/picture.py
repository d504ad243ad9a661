"""The picture of a variant: the changes that are predicted around it, in lanes from top to bottom.

Coordinates of the scene are 0-based and half-open; positions in the picture's texts are 1-based.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vepscore.io.drawing import Anchor, Drawing, Label, Point, Stroke
from vepscore.report.gene_model import Interval
from vepscore.report.scene import BIN_BP, GeneLane, Profile, Scene, SpliceSite
from vepscore.report.scored_alleles import Entry

WIDTH, LEFT, RIGHT = 1100.0, 150.0, 1076.0  # pixels: of the picture; edges of what is drawn to scale
# Okabe and Ito's colors, with a darker purple, which is easier to read on white.
REFERENCE, ALTERNATE, JUNCTION = "#0072B2", "#D55E00", "#7B3F73"
INK, GREY, PALE_GREY, VEIL, AREA, EXON = "#1a1a1a", "#777777", "#e4e4e4", "#eeeeee", "#c3dcec", "#3d4f63"
SMALL = 11.0  # font size in pixels
_TICKS = 6
_NAME_LENGTH = 20  # characters of a lane's name
_NOTE_LENGTH = 150  # characters of a line of notes
_JUNCTION_HEIGHT, _SITE_HEIGHT, _PROFILE_HEIGHT = 92.0, 52.0, 54.0  # pixels; of sites, of one allele
_ARC_POINTS = 24
_LABEL_GAP = 34.0  # pixels between the labels of two splice sites
_LABELED_CHANGE = 0.05  # of a splice site's probability


def draw_picture(scene: Scene, view: Interval | None = None) -> Drawing:
    """Draw a variant.

    Args:
        scene: what is known of the variant.
        view: the part of the sequence to draw; None: the scene's focus.
    """
    canvas = _Canvas(view or scene.focus)
    lanes = [_draw_axis, _draw_junctions, _draw_sites, _draw_site_changes, _draw_genes, _draw_profiles]
    for draw in [*lanes, _draw_notes]:
        draw(canvas, scene)
    changes = [f"{_change_name(one)} {one.text} at {site.start0 + 1}" for site, one in scene.site_changes]
    title = f"Picture of {scene.name}. {'; '.join(changes) or 'No splice site changes by 0.05 or more.'}"
    shapes = (*_mark_variant(canvas, scene), *canvas.shapes)
    return Drawing(width=WIDTH, height=math.ceil(canvas.y + 6), title=title, shapes=shapes)


class _Canvas:
    """The shapes of the lanes drawn so far. All of them lie within the view's edges.

    Attributes:
        y: top of the next lane.
    """

    def __init__(self, view: Interval) -> None:
        self.view = view
        self.y = 0.0
        self.shapes: list[Stroke | Label] = []
        self.pixels_per_base = (RIGHT - LEFT) / view.length_bp

    def x(self, pos0: float) -> float:
        """Return the left edge of a base, or the view's edge that is nearest to it."""
        return min(max(LEFT + (pos0 - self.view.start0) * self.pixels_per_base, LEFT), RIGHT)

    def sees(self, place: Interval) -> bool:
        return place.start0 < self.view.end0 and place.end0 > self.view.start0

    def text(self, x: float, y: float, text: str, color: str = INK, **style: Any) -> None:
        self.shapes.append(Label(x=x, y=y, text=text, color=color, **style))

    def line(self, points: Iterable[Point], color: str, **style: Any) -> None:
        self.shapes.append(Stroke(parts=(tuple(points),), color=color, **style))

    def across(self, y: float, color: str) -> None:
        """Draw a line over the whole width of the view."""
        self.line([(LEFT, y), (RIGHT, y)], color)

    def box(self, left: float, right: float, top: float, bottom: float, fill: str, **style: Any) -> None:
        self.shapes.append(Stroke(parts=(_corners(left, right, top, bottom),), fill=fill, **style))

    def lane_name(self, y: float, name: str, *details: str) -> None:
        self.text(LEFT - 10, y, _cut(name), anchor="end")
        for index, detail in enumerate(details, start=1):
            self.text(LEFT - 10, y + 14 * index, _cut(detail), GREY, anchor="end", size=SMALL)

    def veil(self, predicted: Interval | None, top: float, height: float) -> None:
        """Cover what was not predicted."""
        if predicted is None:
            return
        for start0, end0 in ((self.view.start0, predicted.start0), (predicted.end0, self.view.end0)):
            if start0 < end0:
                left, right = self.x(start0), self.x(end0)
                self.box(left, right, top, top + height, VEIL)
                middle = ((left + right) / 2, top + height / 2 + 4)
                self.text(*middle, "not predicted", GREY, anchor="middle", size=SMALL)


def _corners(left: float, right: float, top: float, bottom: float) -> tuple[Point, ...]:
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _cut(text: str, length: int = _NAME_LENGTH) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _draw_axis(canvas: _Canvas, scene: Scene) -> None:
    canvas.lane_name(42, scene.chrom)
    view = canvas.view
    raw = view.length_bp / _TICKS
    power = 10 ** math.floor(math.log10(raw))
    step = max(1, round(next(factor for factor in (1, 2, 5, 10) if factor * power >= raw) * power))
    for pos1 in range(-(-(view.start0 + 1) // step) * step, view.end0 + 1, step):
        x = canvas.x(pos1 - 0.5)
        if LEFT + 30 <= x <= RIGHT - 30:
            canvas.line([(x, 46), (x, 51)], INK)
            canvas.text(x, 42, f"{pos1:,}", GREY, anchor="middle")
    canvas.across(51, INK)
    canvas.y = 60


def _draw_junctions(canvas: _Canvas, scene: Scene) -> None:
    """Draw an arc for each junction whose count changes, the thicker the more it changes."""
    if not scene.junctions:
        return
    base = canvas.y + _JUNCTION_HEIGHT
    canvas.lane_name(canvas.y + 40, "junctions", "|ln fold change|")
    largest = max(one.score for _, one in scene.junctions)
    seen = [(place, one) for place, one in scene.junctions if canvas.sees(place)]
    for index, (place, one) in enumerate(seen):
        rise = min(_JUNCTION_HEIGHT - 22, 26 + 0.25 * place.length_bp * canvas.pixels_per_base)
        rise -= 7 * (index % 3)
        where = " ".join(filter(None, (one.gene, one.tissue)))
        title = f"junction {place.start0 + 1:,}-{place.end0:,}, {where}: {one.text}"
        canvas.line(_arc(canvas, place, base, rise), JUNCTION, width=1 + 3 * one.score / largest, title=title)
        left, right = canvas.x(place.start0), canvas.x(place.end0)
        middle = (max(left, LEFT + 30) + min(right, RIGHT - 30)) / 2
        part = (middle - LEFT) / canvas.pixels_per_base + canvas.view.start0 - place.start0
        height = rise * math.sin(math.acos(1 - 2 * min(max(part / place.length_bp, 0), 1)))
        style: dict[str, Any] = {"anchor": "middle", "size": SMALL, "has_halo": True}
        canvas.text(middle, base - height - 5, f"{one.score:.3g}", JUNCTION, **style)
    canvas.y = base + 8


def _arc(canvas: _Canvas, place: Interval, base: float, rise: float) -> list[Point]:
    """Return the visible part of half an ellipse over a junction."""

    def angle(pos0: int) -> float:
        part = (min(max(pos0, place.start0), place.end0) - place.start0) / place.length_bp
        return math.acos(1 - 2 * part)

    angles = np.linspace(angle(canvas.view.start0), angle(canvas.view.end0), _ARC_POINTS)
    return [
        (canvas.x(place.start0 + place.length_bp * (1 - math.cos(at)) / 2), base - rise * math.sin(at))
        for at in angles.tolist()
    ]


def _draw_sites(canvas: _Canvas, scene: Scene) -> None:
    """Draw probabilities: the reference's upward, the alternate's downward."""
    if scene.predicted is None:
        return
    top = canvas.y + 14
    zero, bottom = top + _SITE_HEIGHT, top + 2 * _SITE_HEIGHT
    canvas.lane_name(zero - 38, "splice sites", "probability")
    canvas.text(LEFT - 10, zero - 4, "reference ▴", REFERENCE, anchor="end", size=SMALL)
    canvas.text(LEFT - 10, zero + 14, "alternate ▾", ALTERNATE, anchor="end", size=SMALL)
    for y in (top, (top + zero) / 2, (zero + bottom) / 2, bottom):
        canvas.across(y, PALE_GREY)
    for y in (top, bottom):
        canvas.text(RIGHT + 3, y + 4, "1", GREY, size=10)
    seen = [site for site in scene.sites if canvas.sees(Interval(site.pos0, site.pos0 + 1))]
    for site in seen:
        _draw_site(canvas, site, zero)
    _label_sites(canvas, seen, zero)
    canvas.across(zero, INK)
    canvas.veil(scene.predicted, top, 2 * _SITE_HEIGHT)
    canvas.y = bottom + 20


def _draw_site(canvas: _Canvas, site: SpliceSite, zero: float) -> None:
    width = min(14.0, max(3.0, 0.8 * canvas.pixels_per_base))
    left = canvas.x(site.pos0 + 0.5) - width / 2
    title = (
        f"{site.kind} {site.pos0 + 1:,} ({site.strand}): "
        f"reference {site.reference:.3g}, alternate {site.alternate:.3g}"
    )
    up, down = zero - _SITE_HEIGHT * site.reference, zero + _SITE_HEIGHT * site.alternate
    canvas.box(left, left + width, up, zero, REFERENCE, title=title)
    canvas.box(left, left + width, zero, down, ALTERNATE, title=title)


def _label_sites(canvas: _Canvas, sites: Sequence[SpliceSite], zero: float) -> None:
    """Label the sites that change most, where there is room; those that hardly change have no numbers."""
    taken: list[float] = []
    for site in sorted(sites, key=lambda one: (-abs(one.alternate - one.reference), one.pos0)):
        x = canvas.x(site.pos0 + 0.5)
        if any(abs(other - x) < _LABEL_GAP for other in taken):
            continue
        taken.append(x)
        letter = site.kind[0].upper()
        changes = abs(site.alternate - site.reference) >= _LABELED_CHANGE
        style: dict[str, Any] = {"anchor": "middle", "size": SMALL, "has_halo": True}
        above = zero - _SITE_HEIGHT * site.reference - 3
        canvas.text(x, above, f"{letter} {site.reference:.2f}" if changes else letter, REFERENCE, **style)
        if changes:
            below = zero + _SITE_HEIGHT * site.alternate + 12
            canvas.text(x, below, f"{site.alternate:.2f}", ALTERNATE, **style)


def _draw_site_changes(canvas: _Canvas, scene: Scene) -> None:
    """Draw a triangle for each splice event: a filled one for a gain, an empty one for a loss."""
    if not scene.site_changes:
        return
    canvas.lane_name(canvas.y + 14, "site changes", "SPLICE_EVENTS")
    ends: list[float] = []  # right end of the last label on each level
    seen = [(site, one) for site, one in scene.site_changes if canvas.sees(site)]
    for site, one in sorted(seen, key=lambda change: change[0]):
        text = f"{_change_name(one)} {one.score:+.3g}"
        x, width = canvas.x(site.start0 + 0.5), 7.0 * len(text) + 16
        is_left = x + width > RIGHT
        start, end = (x - width, x + 8) if is_left else (x - 8, x + width)
        level = next((index for index, last in enumerate(ends) if last <= start), len(ends))
        ends[level : level + 1] = [end]
        y = canvas.y + 4 + 17 * level
        is_gain = one.score > 0
        tip, foot = (y, y + 11) if is_gain else (y + 11, y)
        canvas.shapes.append(
            Stroke(
                parts=(((x, tip), (x + 6, foot), (x - 6, foot)),),
                color=ALTERNATE,
                fill=ALTERNATE if is_gain else "#fff",
                width=1.5,
                title=f"{text} at {site.start0 + 1:,}, {one.gene}",
            )
        )
        shift, anchor = (-10, "end") if is_left else (10, "start")
        canvas.text(x + shift, y + 10, text, anchor=anchor, has_halo=True)
    canvas.y += 16 + 17 * max(1, len(ends))


def _change_name(one: Entry) -> str:
    return f"{one.kind} {'gain' if one.score > 0 else 'loss'}"


def _draw_genes(canvas: _Canvas, scene: Scene) -> None:
    for gene in scene.genes:
        seen = [exons for exons in gene.transcripts if canvas.sees(Interval(exons[0].start0, exons[-1].end0))]
        if not seen:
            continue
        arrow = "◂" if gene.strand == "-" else "▸"
        name = f"{_cut(gene.name, _NAME_LENGTH - 2)} {arrow}"
        canvas.text(LEFT - 10, canvas.y + 13, name, anchor="end", is_italic=True)
        for exons in seen:
            _draw_transcript(canvas, gene, exons)
        if gene.more:
            more = f"+ {gene.more} transcript{'s' if gene.more > 1 else ''}"
            canvas.text(LEFT - 10, canvas.y + 6, more, GREY, anchor="end", size=10)
            canvas.y += 10
        canvas.y += 4
    canvas.y += 4


def _draw_transcript(canvas: _Canvas, gene: GeneLane, exons: Sequence[Interval]) -> None:
    middle = canvas.y + 9
    left, right = canvas.x(exons[0].start0), canvas.x(exons[-1].end0)
    canvas.line([(left, middle), (right, middle)], GREY)
    way = 4 if gene.strand == "-" else -4
    arrows = tuple(
        ((x + way, middle - 4), (x, middle), (x + way, middle + 4))
        for x in np.arange(left + 20, right - 10, 46).tolist()
    )
    if arrows:
        canvas.shapes.append(Stroke(parts=arrows, color=GREY))
    for exon in exons:
        if canvas.sees(exon):
            start, end = canvas.x(exon.start0), canvas.x(exon.end0)
            title = f"{gene.name} exon {exon.start0 + 1:,}-{exon.end0:,}, {exon.length_bp:,} bp"
            canvas.box(start, max(end, start + 2), middle - 7, middle + 7, EXON, title=title)
    canvas.y += 20


def _draw_profiles(canvas: _Canvas, scene: Scene) -> None:
    """Draw each track: the reference as an area, the alternate as a dashed line. A number gives the lane's top."""
    for profile in scene.profiles:
        _draw_profile(canvas, profile)
        canvas.veil(scene.predicted, canvas.y, _PROFILE_HEIGHT)
        canvas.y += _PROFILE_HEIGHT + 10
    if scene.profiles:
        y = canvas.y
        canvas.box(LEFT, LEFT + 16, y, y + 10, AREA, color=REFERENCE)
        canvas.text(LEFT + 22, y + 10, "reference", GREY, size=SMALL)
        canvas.line([(LEFT + 90, y + 6), (LEFT + 112, y + 6)], ALTERNATE, width=1.8, dash=(5, 2))
        canvas.text(
            LEFT + 118, y + 10, f"alternate; predicted signal, means of {BIN_BP} bp", GREY, size=SMALL
        )
        canvas.y += 18


def _draw_profile(canvas: _Canvas, profile: Profile) -> None:
    base = canvas.y + _PROFILE_HEIGHT
    canvas.lane_name(canvas.y + 14, profile.output, profile.tissue or profile.track, profile.track)
    edges0 = profile.start0 + BIN_BP * np.arange(len(profile.reference) + 1)
    seen = (edges0[1:] > canvas.view.start0) & (edges0[:-1] < canvas.view.end0)
    if seen.any():
        signals = np.array([profile.reference, profile.alternate])[:, seen]
        top = float(signals.max()) or 1.0
        heights = base - np.round(_PROFILE_HEIGHT * signals / top)  # whole pixels, for short lines
        starts, ends = (
            np.array([canvas.x(at) for at in edges[seen].tolist()]) for edges in (edges0[:-1], edges0[1:])
        )
        reference, alternate = (_steps(starts, ends, row) for row in heights)
        canvas.text(RIGHT - 2, canvas.y + 8, f"{top:.3g}", GREY, anchor="end", size=10, has_halo=True)
        name = f"{profile.output} {profile.tissue}, track {profile.track}"
        area = ((starts[0], base), *reference, (ends[-1], base))
        canvas.shapes.append(Stroke(parts=(area,), color=REFERENCE, fill=AREA, title=f"{name}: reference"))
        canvas.line(alternate, ALTERNATE, width=1.8, dash=(5, 2), title=f"{name}: alternate")
    canvas.across(base, GREY)


def _steps(starts: np.ndarray, ends: np.ndarray, heights: np.ndarray) -> list[Point]:
    """Return the line over bins, (N,) each; bins of one height are one step."""
    first = np.concatenate([[True], heights[1:] != heights[:-1]])
    last = np.concatenate([first[1:], [True]])
    columns = (starts[first].tolist(), ends[last].tolist(), heights[first].tolist())
    return [(x, y) for start, end, y in zip(*columns, strict=True) for x in (start, end)]


def _draw_notes(canvas: _Canvas, scene: Scene) -> None:
    for note in scene.notes:
        canvas.text(LEFT, canvas.y + 10, _cut(note, _NOTE_LENGTH), GREY, size=SMALL)
        canvas.y += 16


def _mark_variant(canvas: _Canvas, scene: Scene) -> list[Stroke | Label]:
    """Return a bar over all lanes, and the variant's name above it."""
    if not canvas.sees(scene.variant):
        return []
    left, right = canvas.x(scene.variant.start0), canvas.x(scene.variant.end0)
    middle, width = (left + right) / 2, max(1.5, right - left)
    bar = Stroke(
        parts=(_corners(middle - width / 2, middle + width / 2, 18, canvas.y),),
        fill=INK,
        opacity=0.15 if width > 3 else 0.6,
        title=scene.name,
    )
    anchor: Anchor = "start" if middle < LEFT + 120 else "end" if middle > RIGHT - 120 else "middle"
    return [bar, Label(x=middle, y=14, text=scene.name, color=INK, anchor=anchor, is_bold=True)]
