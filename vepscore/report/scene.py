"""What a picture of a variant shows, whoever draws it: genes, splice sites, junctions and tracks around it.

Coordinates are 0-based and half-open; a site is the exon's base next to the intron. Axis: N bins of a track.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from vepscore.genome.annotation import Annotation, Gene
from vepscore.io.signal_files import RegionSignals
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.report.details import Details, Effect
from vepscore.report.gene_model import GeneModel, Interval, read_gene_model
from vepscore.report.modalities import EVENTS_SCORER

EXTENT_BP = 16_384  # around the variant
MAX_REACH_BP = 100_000  # from the variant, to a site or junction that changes
BIN_BP = 64  # of a track
_SHOWN_PROBABILITY = 0.05  # of a splice site with either allele
_SHOWN_CHANGE = 0.05  # of a splice event
_STRONG_CHANGE = 0.2  # of a splice site, which is shown at first
_SHOWN_JUNCTION = 0.1  # log fold change
_FOCUS_MIN_BP = 600
_MAX_GENES, _MAX_TRANSCRIPTS = 6, 3
_PROFILES = (Output.RNA_SEQ, Output.DNASE, Output.ATAC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GeneLane:
    """A gene, as far as it is drawn."""

    name: str
    strand: str
    transcripts: tuple[
        tuple[Interval, ...], ...
    ]  # exons of the distinct ones, those with the most exons first
    more: int  # transcripts that are not drawn


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceSite:
    """A place that the network takes for a splice site with either allele."""

    kind: str  # donor or acceptor
    strand: str
    pos0: int
    reference: float  # probability
    alternate: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SiteShift:
    """A row of SPLICE_EVENTS."""

    kind: str  # donor or acceptor
    pos0: int
    gene: str
    score: float
    text: str  # of the score


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A track along the sequence, in bins of BIN_BP."""

    output: str
    track: str
    tissue: str
    start0: int
    reference: tuple[float, ...]  # (N,), mean of the predicted signal
    alternate: tuple[float, ...]  # (N,)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One variant."""

    chrom: str
    variant: Interval  # REF
    name: str  # contig, position and alleles
    extent: Interval  # all that can be shown
    focus: Interval  # what is shown at first
    genes: tuple[GeneLane, ...]
    shifts: tuple[SiteShift, ...]
    junctions: tuple[Effect, ...]
    sites: tuple[SpliceSite, ...] = ()
    profiles: tuple[Profile, ...] = ()
    predicted: Interval | None = None  # where sites and profiles are known; None: nowhere
    notes: tuple[str, ...] = ()  # what is missing, and why


def compose_scene(
    *,
    chrom: str,
    pos1: int,
    ref: str,
    name: str,
    details: Details,
    gene: str = "",
    region: Interval | None = None,
    annotation: Annotation | None = None,
    signals: Sequence[RegionSignals] | str = "no tracks were asked for",
) -> Scene:
    """Puts together what is known of a variant.

    Args:
        chrom: contig.
        pos1: POS, 1-based.
        ref: REF.
        name: how the variant is called in the picture.
        details: its effects.
        gene: the name of the gene that is drawn first.
        region: of the splice event.
        annotation: for the genes; None: none are drawn.
        signals: predicted around the variant, or why there are none.
    """
    variant = Interval(pos1 - 1, pos1 - 1 + len(ref))
    shifts = tuple(_shifts(details))
    junctions = tuple(one for one in details.junctions if abs(one.score) >= _SHOWN_JUNCTION)
    near = [Interval(one.pos0, one.pos0 + 1) for one in shifts] + ([region] if region else [])
    near = [one for one in near if _is_near(one, variant)]
    junctions = tuple(one for one in junctions if _is_near(Interval(one.start0, one.end0), variant))
    sites, profiles, predicted = (), (), None
    if not isinstance(signals, str):
        sites, profiles, predicted = _read_signals(signals, details)
    near += [
        Interval(one.pos0, one.pos0 + 1)
        for one in sites
        if abs(one.alternate - one.reference) >= _STRONG_CHANGE
    ]
    middle0 = (variant.start0 + variant.end0) // 2
    around = Interval(max(0, middle0 - EXTENT_BP // 2), middle0 + EXTENT_BP // 2)
    extent = _hull([around, variant, *near, *(Interval(one.start0, one.end0) for one in junctions)])
    notes = [] if annotation else ["no genes: no annotation was given (-g)"]
    if isinstance(signals, str):
        notes.append(f"no predicted tracks: {signals}")
    return Scene(
        chrom=chrom,
        variant=variant,
        name=name,
        extent=extent,
        focus=_focus([variant, *near], extent),
        genes=_lanes(annotation, chrom, extent, variant, gene) if annotation else (),
        shifts=shifts,
        junctions=junctions,
        sites=sites,
        profiles=profiles,
        predicted=predicted,
        notes=tuple(notes),
    )


def _shifts(details: Details) -> list[SiteShift]:
    shifts = []
    for one in details.effects:
        if one.scorer == EVENTS_SCORER and one.site1 is not None and abs(one.score) >= _SHOWN_CHANGE:
            shifts.append(
                SiteShift(kind=one.kind, pos0=one.site1 - 1, gene=one.gene, score=one.score, text=one.text)
            )
    return shifts


def _is_near(place: Interval, variant: Interval) -> bool:
    return variant.start0 - MAX_REACH_BP <= place.start0 and place.end0 <= variant.end0 + MAX_REACH_BP


def _hull(intervals: Sequence[Interval]) -> Interval:
    return Interval(min(one.start0 for one in intervals), max(one.end0 for one in intervals))


def _focus(places: Sequence[Interval], extent: Interval) -> Interval:
    hull = _hull(places)
    room = max(_FOCUS_MIN_BP - hull.length_bp, hull.length_bp // 3) // 2
    return Interval(max(extent.start0, hull.start0 - room), min(extent.end0, hull.end0 + room))


def _lanes(
    annotation: Annotation, chrom: str, extent: Interval, variant: Interval, first: str
) -> tuple[GeneLane, ...]:
    """The gene of the score, then those that the variant lies in, then the others; all in the order of the file."""

    def order(gene: Gene) -> tuple[bool, bool, bool]:
        is_hit = gene.start0 < variant.end0 and gene.end0 > variant.start0
        return gene.name != first, not is_hit, gene.type != "protein_coding"

    lanes = []
    for gene in sorted(annotation.genes_overlapping(chrom, *extent), key=order):
        model = read_gene_model(annotation, gene)
        if model is not None and len(lanes) < _MAX_GENES:
            lanes.append(_lane(gene, model, extent, _MAX_TRANSCRIPTS if not lanes else 1))
    return tuple(lanes)


def _lane(gene: Gene, model: GeneModel, extent: Interval, shown: int) -> GeneLane:
    clipped: dict[tuple[Interval, ...], None] = {}
    for exons in sorted(model.transcripts, key=lambda one: (-len(one), one)):
        # Those beyond the edges stay where they are next to one, so that the intron is drawn up to it.
        inside = [
            i for i, exon in enumerate(exons) if exon.end0 > extent.start0 and exon.start0 < extent.end0
        ]
        before = [i for i, exon in enumerate(exons) if exon.end0 <= extent.start0]
        after = [i for i, exon in enumerate(exons) if exon.start0 >= extent.end0]
        kept = sorted({*before[-1:], *inside, *after[:1]})
        if inside or (before and after):
            clipped[tuple(exons[i] for i in kept)] = None
    transcripts = tuple(clipped)
    return GeneLane(
        name=gene.name,
        strand=gene.strand,
        transcripts=transcripts[:shown],
        more=max(0, len(transcripts) - shown),
    )


def _read_signals(
    signals: Sequence[RegionSignals], details: Details
) -> tuple[tuple[SpliceSite, ...], tuple[Profile, ...], Interval | None]:
    by_output = {one.tracks.output: one for one in signals}
    predicted = (
        _hull([Interval(int(one.start0[0]), int(one.end0[-1])) for one in signals]) if signals else None
    )
    sites = _sites(by_output[Output.SPLICE_SITES]) if Output.SPLICE_SITES in by_output else ()
    profiles = [
        _profile(by_output[output], details.strongest(output)) for output in _PROFILES if output in by_output
    ]
    return sites, tuple(profiles), predicted


def _sites(signals: RegionSignals) -> tuple[SpliceSite, ...]:
    reference, alternate = signals.reference, signals.alternate
    found = np.argwhere(np.maximum(reference, alternate) >= _SHOWN_PROBABILITY)
    return tuple(
        SpliceSite(
            kind=SPLICE_CLASSES[track][:-1],
            strand=SPLICE_CLASSES[track][-1],
            pos0=int(signals.start0[row]),
            reference=float(reference[row, track]),
            alternate=float(alternate[row, track]),
        )
        for row, track in found
        if track < len(SPLICE_CLASSES)
    )


def _profile(signals: RegionSignals, strongest: Effect | None) -> Profile:
    """The track of the strongest row, or else the one that changes most."""
    tracks = signals.tracks
    index = int(np.abs(signals.alternate - signals.reference).sum(axis=0).argmax())
    if strongest is not None:
        named = (tracks.name == strongest.track) & (
            (tracks.strand == strongest.strand) if strongest.strand else True
        )
        index = int(np.flatnonzero(named)[0]) if named.any() else index
    return Profile(
        output=str(tracks.output),
        track=str(tracks.name[index]),
        tissue=str(tracks.biosample_name[index]),
        start0=int(signals.start0[0]),
        reference=_binned(signals.reference[:, index]),
        alternate=_binned(signals.alternate[:, index]),
    )


def _binned(values: np.ndarray) -> tuple[float, ...]:
    """Means of BIN_BP values each; the last bin may have fewer."""
    starts = np.arange(0, len(values), BIN_BP)
    sizes = np.diff([*starts, len(values)])
    return tuple((np.add.reduceat(values.astype(np.float64), starts) / sizes).tolist())
