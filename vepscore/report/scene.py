"""The data behind the picture of a variant: genes, splice sites, junctions and tracks around it.

Coordinates are 0-based and half-open. A splice site is the exon's base next to the intron. Axis: N bins of a track.
"""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from vepscore.genome.annotation import Annotation, Gene
from vepscore.genome.regions import VariantText
from vepscore.io.fields import EVENTS_SCORER
from vepscore.io.signal_files import RegionSignals
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.report.details import Details
from vepscore.report.gene_model import Interval, read_gene_model
from vepscore.report.ranking_table import variant_in_words
from vepscore.report.scored_alleles import Entry, ScoredAllele

EXTENT_BP = 16_384  # around the variant
MAX_REACH_BP = 100_000  # from the variant to a site or junction that changes
BIN_BP = 64  # of a track
_SHOWN_PROBABILITY = 0.05  # smallest of a splice site, with either allele
_SHOWN_CHANGE = 0.05  # smallest of a splice event
_STRONG_CHANGE = 0.2  # of a splice site's probability, from which the site belongs to the focus
_SHOWN_JUNCTION = 0.1  # smallest log fold change
_FOCUS_MIN_BP = 600
_MAX_GENES, _MAX_TRANSCRIPTS = 6, 3
_PROFILES = (Output.RNA_SEQ, Output.DNASE, Output.ATAC)

Placed = tuple[Interval, Entry]  # the base of a splice site, or the intron of a junction, and its score
Signals = Sequence[RegionSignals] | str  # around a variant, or the reason why there are none


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GeneLane:
    """The part of a gene that is drawn."""

    name: str
    strand: str
    transcripts: tuple[tuple[Interval, ...], ...]  # distinct exon chains, those with the most exons first
    more: int  # transcripts that are not drawn


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpliceSite:
    """A position that is predicted to be a splice site with either allele."""

    kind: str  # donor or acceptor
    strand: str
    pos0: int
    reference: float  # probability
    alternate: float


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
    """One variant and its surroundings."""

    chrom: str
    variant: Interval  # REF
    name: str  # contig, position and alleles
    extent: Interval  # all that is known
    focus: Interval  # the variant and what it changes
    genes: tuple[GeneLane, ...]
    site_changes: tuple[Placed, ...]  # rows of SPLICE_EVENTS
    junctions: tuple[Placed, ...]
    sites: tuple[SpliceSite, ...] = ()
    profiles: tuple[Profile, ...] = ()
    predicted: Interval | None = None  # where sites and profiles are known; None: nowhere
    notes: tuple[str, ...] = ()  # what is missing, and why


def compose_scene(
    variant: ScoredAllele | VariantText,
    details: Details,
    *,
    gene: str = "",
    region: Interval | None = None,
    annotation: Annotation | None = None,
    signals: Signals = "none requested",
) -> Scene:
    """Collect what is known of a variant.

    Args:
        variant: the variant.
        details: its effects.
        gene: name of the gene to draw first.
        region: of the splice event, if there is one.
        annotation: source of the genes; None: draw none.
        signals: predictions around the variant, or the reason why there are none.
    """
    place = Interval(variant.pos1 - 1, variant.pos1 - 1 + len(variant.ref))
    events = [one for one in details.effects if one.scorer == EVENTS_SCORER]
    site_changes = _placed(events, place, smallest=_SHOWN_CHANGE)
    junctions = _placed(details.junctions, place, smallest=_SHOWN_JUNCTION)
    sites, profiles, predicted = _read_signals([] if isinstance(signals, str) else signals, details)
    changed = [site for site, _ in site_changes]
    changed += [region] if region and _is_near(region, place) else []
    changed += [
        Interval(one.pos0, one.pos0 + 1)
        for one in sites
        if abs(one.alternate - one.reference) >= _STRONG_CHANGE
    ]
    extent = _hull([_around(place), *changed, *(intron for intron, _ in junctions)])
    notes = [] if annotation else ["no genes: no annotation was given (-g)"]
    notes += [f"no predicted tracks: {signals}"] if isinstance(signals, str) else []
    return Scene(
        chrom=variant.chrom,
        variant=place,
        name=variant_in_words(variant),
        extent=extent,
        focus=_focus([place, *changed], extent),
        genes=_lanes(annotation, variant.chrom, extent, place, gene) if annotation else (),
        site_changes=site_changes,
        junctions=junctions,
        sites=sites,
        profiles=profiles,
        predicted=predicted,
        notes=tuple(notes),
    )


def _placed(entries: Iterable[Entry], variant: Interval, *, smallest: float) -> tuple[Placed, ...]:
    """Return the scores that have a place near the variant and at least a given size."""
    return tuple(
        (one.place, one)
        for one in entries
        if one.place is not None and abs(one.score) >= smallest and _is_near(one.place, variant)
    )


def _is_near(place: Interval, variant: Interval) -> bool:
    return variant.start0 - MAX_REACH_BP <= place.start0 and place.end0 <= variant.end0 + MAX_REACH_BP


def _around(variant: Interval) -> Interval:
    middle0 = (variant.start0 + variant.end0) // 2
    around = Interval(max(0, middle0 - EXTENT_BP // 2), middle0 + EXTENT_BP // 2)
    return _hull([around, variant])


def _hull(intervals: Sequence[Interval]) -> Interval:
    return Interval(min(one.start0 for one in intervals), max(one.end0 for one in intervals))


def _focus(places: Sequence[Interval], extent: Interval) -> Interval:
    hull = _hull(places)
    room = max(_FOCUS_MIN_BP - hull.length_bp, hull.length_bp // 3) // 2
    return Interval(max(extent.start0, hull.start0 - room), min(extent.end0, hull.end0 + room))


def _lanes(
    annotation: Annotation, chrom: str, extent: Interval, variant: Interval, first: str
) -> tuple[GeneLane, ...]:
    """Return the gene of the score, then the genes at the variant, then others; each group in file order."""

    def order(gene: Gene) -> tuple[bool, bool, bool]:
        is_hit = gene.start0 < variant.end0 and gene.end0 > variant.start0
        return gene.name != first, not is_hit, gene.type != "protein_coding"

    lanes: list[GeneLane] = []
    for gene in sorted(annotation.genes_overlapping(chrom, *extent), key=order):
        model = read_gene_model(annotation, gene)
        if model is None or len(lanes) == _MAX_GENES:
            continue
        ordered = sorted(model.transcripts, key=lambda one: (-len(one), one))
        clipped = tuple(dict.fromkeys(exons for one in ordered if (exons := _clip(one, extent))))
        shown = 1 if lanes else _MAX_TRANSCRIPTS
        more = max(0, len(clipped) - shown)
        lanes.append(GeneLane(name=gene.name, strand=gene.strand, transcripts=clipped[:shown], more=more))
    return tuple(lanes)


def _clip(exons: Sequence[Interval], extent: Interval) -> tuple[Interval, ...]:
    """Return the exons in the extent, and the nearest one on each side, so that the intron to it is drawn."""
    inside = [i for i, exon in enumerate(exons) if exon.end0 > extent.start0 and exon.start0 < extent.end0]
    before = [i for i, exon in enumerate(exons) if exon.end0 <= extent.start0]
    after = [i for i, exon in enumerate(exons) if exon.start0 >= extent.end0]
    if not inside and not (before and after):
        return ()
    return tuple(exons[i] for i in sorted({*before[-1:], *inside, *after[:1]}))


def _read_signals(
    signals: Sequence[RegionSignals], details: Details
) -> tuple[tuple[SpliceSite, ...], tuple[Profile, ...], Interval | None]:
    by_output = {one.tracks.output: one for one in signals}
    ends = [Interval(int(one.start0[0]), int(one.end0[-1])) for one in signals]
    sites = _sites(by_output[Output.SPLICE_SITES]) if Output.SPLICE_SITES in by_output else ()
    profiles = [
        _profile(by_output[output], details.strongest(output)) for output in _PROFILES if output in by_output
    ]
    return sites, tuple(profiles), _hull(ends) if ends else None


def _alternate(signals: RegionSignals) -> np.ndarray:
    """Return the alternate's signal, which every variant has."""
    if signals.alternate is None:
        raise ValueError("the signals are of a region, expected those of a variant")
    return signals.alternate


def _sites(signals: RegionSignals) -> tuple[SpliceSite, ...]:
    reference, alternate = signals.reference, _alternate(signals)
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


def _profile(signals: RegionSignals, strongest: Entry | None) -> Profile:
    """Return the track of the strongest row; without such a row, the track that changes most."""
    tracks, alternate = signals.tracks, _alternate(signals)
    index = int(np.abs(alternate - signals.reference).sum(axis=0).argmax())
    if strongest is not None:
        named = tracks.name == strongest.track
        if strongest.strand:
            named &= tracks.strand == strongest.strand
        index = int(np.flatnonzero(named)[0]) if named.any() else index
    return Profile(
        output=str(tracks.output),
        track=str(tracks.name[index]),
        tissue=str(tracks.biosample_name[index]),
        start0=int(signals.start0[0]),
        reference=_binned(signals.reference[:, index]),
        alternate=_binned(alternate[:, index]),
    )


def _binned(values: np.ndarray) -> tuple[float, ...]:
    """Return the mean of each BIN_BP values; the last bin may have fewer."""
    starts = np.arange(0, len(values), BIN_BP)
    sizes = np.diff([*starts, len(values)])
    return tuple((np.add.reduceat(values.astype(np.float64), starts) / sizes).tolist())
