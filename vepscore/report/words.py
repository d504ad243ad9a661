"""Splice events in words. Positions are 1-based, and ranges include both ends."""

from vepscore.report.events import ACCEPTOR, DONOR, EventCall, EventKind, SiteChange
from vepscore.report.gene_model import Interval

_SHOWN_JUNCTIONS = 1  # of those that support an event


def describe_event(call: EventCall) -> str:
    """Return one line: the event, its evidence, and its distance from the annotated exons."""
    parts = [_event(call), ", ".join(map(_change, call.evidence))]
    parts += [
        f"junction {_span(Interval(junction.start0, junction.end0))} |ln fold change| {junction.score:.2f}"
        for junction in call.junctions[:_SHOWN_JUNCTIONS]
    ]
    if call.distance_bp:
        parts.append(f"{_bases(call.distance_bp)} from the nearest exon")
    return "; ".join(part for part in parts if part)


def _event(call: EventCall) -> str:
    if call.kind in (EventKind.CRYPTIC_SITE, EventKind.ALTERNATIVE_SITE):
        return _moved_site(call)
    if call.region is None:
        return "no event: no annotated site lost, no new site gained" if call.evidence else "no event"
    place = f"{_span(call.region)}, {_bases(call.region.length_bp)}"
    if call.kind is EventKind.EXON_SKIPPING:
        return f"exon skipping: {'exon' if call.exons == 1 else f'{call.exons} exons'} {place}"
    if call.kind is EventKind.INTRON_RETENTION:
        return f"intron retention: intron {place}"
    return f"pseudoexon: {place}{_partner(call)}"


def _moved_site(call: EventCall) -> str:
    (gain,) = (change for change in call.evidence if change.score > 0)
    site = f"{call.kind.removesuffix(' site')} {gain.site}"
    if call.exon_change_bp is None or call.region is None:
        return f"{site}: not near an annotated exon; no partner site found"
    size, direction = abs(call.exon_change_bp), "longer" if call.exon_change_bp > 0 else "shorter"
    return f"{site}: exon {_bases(size)} {direction}, {_span(call.region)}"


def _partner(call: EventCall) -> str:
    if call.partner0 is None:
        return ""
    partner = ACCEPTOR if call.evidence[0].site == DONOR else DONOR
    return f" with an existing {partner} at {call.partner0 + 1}"


def _change(change: SiteChange) -> str:
    return f"{change.site} {'gain' if change.score > 0 else 'loss'} {change.score:+.2f} at {change.pos0 + 1}"


def _span(interval: Interval) -> str:
    return f"{interval.start0 + 1}-{interval.end0}"


def _bases(count: int) -> str:
    return f"{count:,} bp"
