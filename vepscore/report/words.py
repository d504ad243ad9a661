"""An event call in words. Positions are 1-based, and both ends of a stretch are part of it."""

from vepscore.report.events import ACCEPTOR, DONOR, EventCall, EventKind, SiteChange
from vepscore.report.gene_model import Interval

_SHOWN_JUNCTIONS = 1  # of those that speak for an event


def describe_event(call: EventCall) -> str:
    """One line: the event, what it rests on, and how far from the annotated exons that is."""
    parts = [_event(call), ", ".join(map(_change, call.evidence))]
    parts += [
        f"junction {_span(Interval(junction.start0, junction.end0))} changes by ln {junction.score:.2f}"
        for junction in call.junctions[:_SHOWN_JUNCTIONS]
    ]
    if call.distance_bp:
        parts.append(f"{_bases(call.distance_bp)} from the nearest exon")
    return "; ".join(part for part in parts if part)


def _event(call: EventCall) -> str:
    if call.kind is EventKind.EXON_SKIPPING:
        exons = "exon" if call.exons == 1 else f"{call.exons} exons"
        return f"exon skipping: {exons} {_span(call.region)}, {_bases(call.region.length_bp)}"
    if call.kind is EventKind.INTRON_RETENTION:
        return f"intron retention: intron {_span(call.region)}, {_bases(call.region.length_bp)}"
    if call.kind is EventKind.PSEUDOEXON:
        return f"pseudoexon: {_span(call.region)}, {_bases(call.region.length_bp)}{_partner(call)}"
    if call.kind in (EventKind.CRYPTIC_SITE, EventKind.ALTERNATIVE_SITE):
        return _moved_site(call)
    return "no event: not an annotated site lost, nor another gained" if call.evidence else "no event"


def _moved_site(call: EventCall) -> str:
    (gain,) = (change for change in call.evidence if change.score > 0)
    site = f"{call.kind.removesuffix(' site')} {gain.site}"
    if call.exon_change_bp is None:
        return f"{site}: of no annotated exon, and no partner is found"
    size, direction = abs(call.exon_change_bp), "longer" if call.exon_change_bp > 0 else "shorter"
    return f"{site}: exon {_bases(size)} {direction}, {_span(call.region)}"


def _partner(call: EventCall) -> str:
    if call.partner0 is None:
        return ""
    partner = ACCEPTOR if call.evidence[0].site == DONOR else DONOR
    return f" with a latent {partner} at {call.partner0 + 1}"


def _change(change: SiteChange) -> str:
    return f"{change.site} {'gain' if change.score > 0 else 'loss'} {change.score:+.2f} at {change.pos0 + 1}"


def _span(interval: Interval) -> str:
    return f"{interval.start0 + 1}-{interval.end0}"


def _bases(count: int) -> str:
    return f"{count:,} bp"
