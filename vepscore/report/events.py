"""Call the likely splice event of a variant in a gene, by rules over the four strongest changes of its splice sites.

The leading change is the strongest one that passes the threshold among losses of annotated sites and gains of other
sites; a loss precedes an equal gain. The first rule that fits it decides:

    any     a site is lost, and a gain of the same kind may replace it          cryptic site
    any     a site is lost, and an annotated one may replace it                 alternative site
    gain    a gained pair within an intron, or a gain with an existing partner  pseudoexon
    gain    a site is gained in an exon, or near one                            cryptic site
    gain    deep in an intron, without a partner                                cryptic site of no known exon
    loss    both sites of one intron                                            intron retention
    loss    an inner exon's site, or the two ends of inner exons                exon skipping
    loss    the donor of first exons, or the acceptor of last ones              intron retention

Coordinates and lengths are those of the reference, 0-based and half-open: bases that the variant itself inserts or
deletes are not counted.

References: Canson et al., "SpliceAI-10k calculator for the prediction of pseudoexonization, intron retention, and exon
deletion", Bioinformatics 2023, for the idea of such rules; the rules here are our own.
"""

import dataclasses
import enum
import itertools
from collections.abc import Iterable, Iterator, Sequence

from vepscore.report.gene_model import GeneModel, Interval

DONOR, ACCEPTOR = "donor", "acceptor"
_OTHER = {DONOR: ACCEPTOR, ACCEPTOR: DONOR}
_THRESHOLD = 0.2  # smallest size of a change that counts
_PARTNER = 0.05  # smallest size of the weaker gain of a pseudoexon's pair
_JUNCTION = 0.5  # smallest log fold change of a junction to an existing partner
_PSEUDOEXON_MIN_BP, _PSEUDOEXON_MAX_BP = 20, 500
_SHIFT_MAX_BP = 500  # by which an exon may extend into its intron


class EventKind(enum.StrEnum):
    """Effect on the transcript."""

    EXON_SKIPPING = "exon skipping"
    CRYPTIC_SITE = "cryptic site"
    ALTERNATIVE_SITE = "alternative site"  # an annotated one, used more
    PSEUDOEXON = "pseudoexon"
    INTRON_RETENTION = "intron retention"
    NONE = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class SiteChange:
    """The strongest gain or loss of one kind of site in the gene."""

    site: str  # DONOR or ACCEPTOR
    pos0: int  # the exon's base next to the intron
    score: float  # probability of the alternate minus that of the reference


@dataclasses.dataclass(frozen=True, slots=True)
class JunctionChange:
    """A junction whose predicted count changes."""

    start0: int  # first base of the intron
    end0: int  # exclusive
    score: float  # absolute log fold change


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventCall:
    """The likely event and its evidence."""

    kind: EventKind
    # First to last skipped exon, pseudoexon, retained intron, or the changed exon.
    region: Interval | None = None
    exons: int = 0  # number of skipped exons
    # Growth of the exon at a cryptic or alternative site; None if no exon is near.
    exon_change_bp: int | None = None
    # The leading change first; for EventKind.NONE, the changes that pass the threshold.
    evidence: tuple[SiteChange, ...] = ()
    partner0: int | None = None  # a pseudoexon's site that is not gained, but ends one of `junctions`
    junctions: tuple[JunctionChange, ...] = ()  # that support the event, strongest first
    distance_bp: int | None = None  # of the leading change from the nearest annotated exon; 0 within one


def call_event(
    changes: Iterable[SiteChange], gene: GeneModel, junctions: Iterable[JunctionChange] = ()
) -> EventCall:
    """Return the likely event of one variant in one gene.

    Args:
        changes: at most four: the strongest gain and loss of each kind of site on the gene's strand.
        gene: its annotated exons.
        junctions: changes of the gene's junctions, if known.
    """
    if gene.strand == "+":
        return _EventRules(changes, gene, junctions).call()
    mirrored = map(_mirror_change, changes), gene.along_strand(), map(_mirror_junction, junctions)
    return _mirror_call(_EventRules(*mirrored).call())


class _EventRules:
    """The rules for one variant and one gene on the plus strand: donors end exons, acceptors begin them."""

    def __init__(
        self, changes: Iterable[SiteChange], gene: GeneModel, junctions: Iterable[JunctionChange]
    ) -> None:
        self.gene, self.changes = gene, list(changes)
        self.junctions = sorted(junctions, key=lambda one: (-one.score, one.start0, one.end0))
        self.annotated = _annotated_sites(gene)
        known = [change for change in self.changes if (change.site, change.pos0) in self.annotated]
        new = [change for change in self.changes if change not in known]
        self.losses = {change.site: change for change in known if -change.score >= _THRESHOLD}
        self.annotated_gains = {change.site: change for change in known if change.score >= _THRESHOLD}
        self.gains = {change.site: change for change in new if change.score >= _PARTNER}

    def call(self) -> EventCall:
        strong = [gain for gain in self.gains.values() if gain.score >= _THRESHOLD]
        eligible = [*self.losses.values(), *strong]
        if not eligible:
            return self._unexplained()
        lead = max(eligible, key=lambda change: (abs(change.score), change.score < 0, change.site))
        call = self._moved(lead.site) or (self._from_gain(lead) if lead.score > 0 else self._from_loss(lead))
        return dataclasses.replace(
            call,
            evidence=(lead, *(change for change in call.evidence if change != lead)),
            junctions=tuple(self._supporting(call)),
            distance_bp=self.gene.distance_bp(lead.pos0),
        )

    def _unexplained(self) -> EventCall:
        """Return no event: no change is strong, an annotated site is strengthened, or another site is lost."""
        strong = [change for change in self.changes if abs(change.score) >= _THRESHOLD]
        strong.sort(key=lambda change: (-abs(change.score), change.site, change.pos0))
        distance_bp = self.gene.distance_bp(strong[0].pos0) if strong else None
        return EventCall(kind=EventKind.NONE, evidence=tuple(strong), distance_bp=distance_bp)

    def _moved(self, site: str) -> EventCall | None:
        loss, gain = self.losses.get(site), self.gains.get(site)
        if loss and gain and gain.score >= _THRESHOLD:
            return self._cryptic(gain, loss)
        if loss and (gain := self.annotated_gains.get(site)) and (call := self._cryptic(gain, loss)):
            return dataclasses.replace(call, kind=EventKind.ALTERNATIVE_SITE)
        return None

    def _from_gain(self, gain: SiteChange) -> EventCall:
        nowhere = EventCall(kind=EventKind.CRYPTIC_SITE, evidence=(gain,))
        return self._pseudoexon(gain) or self._cryptic(gain) or nowhere

    def _from_loss(self, loss: SiteChange) -> EventCall:
        other = self.losses.get(_OTHER[loss.site])
        return self._retained(loss, other) or self._skipped(loss, other) or self._retained_at_end(loss)

    def _pseudoexon(self, gain: SiteChange) -> EventCall | None:
        """Return the new exon between a gained site in an intron and its partner."""
        if self.gene.distance_bp(gain.pos0) == 0:
            return None
        other = self.gains.get(_OTHER[gain.site])
        if other and (region := self._new_exon(gain.site, gain.pos0, other.pos0)):
            return EventCall(kind=EventKind.PSEUDOEXON, region=region, evidence=(gain, other))
        for junction in self.junctions:
            partner0 = junction.end0 if gain.site == DONOR else junction.start0 - 1
            region = self._new_exon(gain.site, gain.pos0, partner0)
            if region and junction.score >= _JUNCTION:
                return EventCall(
                    kind=EventKind.PSEUDOEXON, region=region, evidence=(gain,), partner0=partner0
                )
        return None

    def _new_exon(self, site: str, pos0: int, partner0: int) -> Interval | None:
        """Return the exon from acceptor to donor, if its length is plausible and it overlaps no annotated exon."""
        donor0, acceptor0 = (pos0, partner0) if site == DONOR else (partner0, pos0)
        exon = Interval(acceptor0, donor0 + 1)
        is_plausible = _PSEUDOEXON_MIN_BP <= exon.length_bp <= _PSEUDOEXON_MAX_BP
        first0, end0 = self.gene.exons[0].start0, max(known.end0 for known in self.gene.exons)
        is_free = all(exon.end0 <= known.start0 or known.end0 <= exon.start0 for known in self.gene.exons)
        return exon if is_plausible and is_free and first0 < exon.start0 and exon.end0 < end0 else None

    def _cryptic(self, gain: SiteChange, loss: SiteChange | None = None) -> EventCall | None:
        """Return the exon that the gained site changes least; if a site is lost, an exon that had it."""
        found = []
        for exons in self.gene.transcripts:
            for index, exon in enumerate(exons):
                lower0 = exons[index - 1].end0 if index else exon.start0
                upper0 = exons[index + 1].start0 if index + 1 < len(exons) else exon.end0
                if gain.site == DONOR:
                    has_site, old0 = index + 1 < len(exons), exon.end0 - 1
                    becomes = Interval(exon.start0, gain.pos0 + 1)
                    is_inside = exon.start0 <= gain.pos0 < upper0
                else:
                    has_site, old0 = index > 0, exon.start0
                    becomes = Interval(gain.pos0, exon.end0)
                    is_inside = lower0 <= gain.pos0 < exon.end0
                growth = becomes.length_bp - exon.length_bp
                fits = has_site and is_inside and growth <= _SHIFT_MAX_BP
                if fits and (loss is None or old0 == loss.pos0):
                    found.append((abs(growth), growth, becomes))
        if not found:
            return None
        _, growth, becomes = min(found)
        evidence = (gain,) if loss is None else (gain, loss)
        return EventCall(
            kind=EventKind.CRYPTIC_SITE, region=becomes, exon_change_bp=growth, evidence=evidence
        )

    def _retained(self, loss: SiteChange, other: SiteChange | None) -> EventCall | None:
        """Return the intron that has lost both its sites."""
        if other is None:
            return None
        sites = {change.site: change.pos0 for change in (loss, other)}
        for intron in self._introns():
            if sites == {DONOR: intron.start0 - 1, ACCEPTOR: intron.end0}:
                return EventCall(kind=EventKind.INTRON_RETENTION, region=intron, evidence=(loss, other))
        return None

    def _skipped(self, loss: SiteChange, other: SiteChange | None) -> EventCall | None:
        """Return the exons from a lost acceptor to a lost donor of a transcript, else the exon of the stronger loss."""
        for losses in ((loss, other), (loss,)) if other else ((loss,),):
            inner = (exons[1:-1] for exons in self.gene.transcripts)
            found = [skipped for exons in inner if (skipped := _lost_exons(exons, losses))]
            if found:
                # The exons of most transcripts; of these the shortest, then the first.
                region, count = min(found, key=lambda one: (-found.count(one), one[0].length_bp, one))
                return EventCall(kind=EventKind.EXON_SKIPPING, region=region, exons=count, evidence=losses)
        return None

    def _retained_at_end(self, loss: SiteChange) -> EventCall:
        """Return the shortest intron of a site of no inner exon: a first exon's donor or a last exon's acceptor."""
        is_donor = loss.site == DONOR
        own = [one for one in self._introns() if loss.pos0 == (one.start0 - 1 if is_donor else one.end0)]
        intron = min(own, key=lambda one: (one.length_bp, one))
        return EventCall(kind=EventKind.INTRON_RETENTION, region=intron, evidence=(loss,))

    def _introns(self) -> list[Interval]:
        """Return the distinct introns, ascending."""
        pairs = (pair for exons in self.gene.transcripts for pair in itertools.pairwise(exons))
        return sorted({Interval(before.end0, after.start0) for before, after in pairs})

    def _supporting(self, call: EventCall) -> Iterator[JunctionChange]:
        """Yield junctions at the sites that changed, over the skipped exons, or of the retained intron."""
        donors = {change.pos0 + 1 for change in call.evidence if change.site == DONOR}
        acceptors = {change.pos0 for change in call.evidence if change.site == ACCEPTOR}
        for junction in self.junctions:
            spans = (
                call.kind is EventKind.EXON_SKIPPING
                and call.region is not None
                and junction.start0 <= call.region.start0
                and junction.end0 >= call.region.end0
            )
            at_partner = call.partner0 in (junction.start0 - 1, junction.end0) and call.partner0 is not None
            if junction.start0 in donors or junction.end0 in acceptors or spans or at_partner:
                yield junction


def _annotated_sites(gene: GeneModel) -> set[tuple[str, int]]:
    """Return the kind and position of each site of a gene on the plus strand."""
    donors = {(DONOR, exon.end0 - 1) for exons in gene.transcripts for exon in exons[:-1]}
    acceptors = {(ACCEPTOR, exon.start0) for exons in gene.transcripts for exon in exons[1:]}
    return donors | acceptors


def _lost_exons(exons: Sequence[Interval], losses: Sequence[SiteChange]) -> tuple[Interval, int] | None:
    """Return the exons from the lost acceptor to the lost donor, or with the one lost site, and their number."""
    indexes: dict[str, int] = {}
    for loss in losses:
        sites0 = [exon.end0 - 1 if loss.site == DONOR else exon.start0 for exon in exons]
        if loss.pos0 not in sites0:
            return None
        indexes[loss.site] = sites0.index(loss.pos0)
    lost = indexes[losses[0].site]
    first, last = indexes.get(ACCEPTOR, lost), indexes.get(DONOR, lost)
    return (Interval(exons[first].start0, exons[last].end0), last - first + 1) if first <= last else None


def _mirror_change(change: SiteChange) -> SiteChange:
    return dataclasses.replace(change, pos0=-change.pos0)


def _mirror_junction(junction: JunctionChange) -> JunctionChange:
    intron = Interval(junction.start0, junction.end0).mirrored()
    return dataclasses.replace(junction, start0=intron.start0, end0=intron.end0)


def _mirror_call(call: EventCall) -> EventCall:
    return dataclasses.replace(
        call,
        region=call.region.mirrored() if call.region else None,
        evidence=tuple(map(_mirror_change, call.evidence)),
        partner0=None if call.partner0 is None else -call.partner0,
        junctions=tuple(map(_mirror_junction, call.junctions)),
    )


def describe_event(call: EventCall) -> str:
    """Return one line: the event, its evidence, and its distance from the annotated exons; 1-based, ends inclusive."""
    parts = [_event(call), ", ".join(map(_change, call.evidence))]
    if call.junctions:
        strongest = call.junctions[0]
        parts.append(f"junction {_span(strongest)} |ln fold change| {strongest.score:.2f}")
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
    if call.partner0 is None:
        return f"pseudoexon: {place}"
    return f"pseudoexon: {place} with an existing {_OTHER[call.evidence[0].site]} at {call.partner0 + 1}"


def _moved_site(call: EventCall) -> str:
    (gain,) = (change for change in call.evidence if change.score > 0)
    site = f"{call.kind.removesuffix(' site')} {gain.site}"
    if call.exon_change_bp is None or call.region is None:
        return f"{site}: not near an annotated exon; no partner site found"
    size, direction = abs(call.exon_change_bp), "longer" if call.exon_change_bp > 0 else "shorter"
    return f"{site}: exon {_bases(size)} {direction}, {_span(call.region)}"


def _change(change: SiteChange) -> str:
    return f"{change.site} {'gain' if change.score > 0 else 'loss'} {change.score:+.2f} at {change.pos0 + 1}"


def _span(interval: Interval | JunctionChange) -> str:
    return f"{interval.start0 + 1}-{interval.end0}"


def _bases(count: int) -> str:
    return f"{count:,} bp"
