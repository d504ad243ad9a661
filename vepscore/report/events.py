"""The likely splice event of a variant in a gene: a rule over the four strongest changes of its splice sites.

Only the loss of an annotated site and the gain of another place lead. Of those that pass the threshold the strongest
does, a loss before an equal gain, and the first rule that fits decides:

    any     a site is lost, and a gain of the same kind may stand in      cryptic site
    any     a site is lost, and an annotated one may stand in             alternative site
    gain    a gained pair within an intron, or a gain with a latent site  pseudoexon
    gain    a site is gained in an exon, or near one                      cryptic site
    gain    deep in an intron, without a partner                          cryptic site of no known exon
    loss    both sites of one intron                                      intron retention
    loss    an inner exon's site, or the two ends of inner exons          exon skipping
    loss    the donor of first exons, or the acceptor of last ones        intron retention

Coordinates are those of the reference, 0-based and half-open, and so are lengths: bases that the variant itself inserts
or deletes are not counted in them.

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


class EventKind(enum.StrEnum):
    """What happens to the transcript."""

    EXON_SKIPPING = "exon skipping"
    CRYPTIC_SITE = "cryptic site"
    ALTERNATIVE_SITE = "alternative site"  # an annotated one, used more
    PSEUDOEXON = "pseudoexon"
    INTRON_RETENTION = "intron retention"
    NONE = "none"


@dataclasses.dataclass(frozen=True, slots=True)
class SiteChange:
    """The strongest gain or loss of a kind of site in the gene."""

    site: str  # DONOR or ACCEPTOR
    pos0: int  # of the exon's base next to the intron
    score: float  # alternate minus reference of its probability: gains above 0, losses below


@dataclasses.dataclass(frozen=True, slots=True)
class JunctionChange:
    """A junction whose predicted count changes."""

    start0: int  # first base of the intron
    end0: int  # exclusive
    score: float  # size of the log fold change


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The numbers that the call hangs on."""

    threshold: float = 0.2  # of a change that counts, in size
    partner: float = 0.05  # of the weaker gain of a pseudoexon's pair
    junction: float = 0.5  # log fold change of a junction that names a latent partner
    pseudoexon_min_bp: int = 20
    pseudoexon_max_bp: int = 500
    shift_max_bp: int = 500  # by which an exon may grow into its intron


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EventCall:
    """The likely event, and what speaks for it."""

    kind: EventKind
    region: Interval | None = (
        None  # skipped exons with what is between, pseudoexon, retained intron, or the exon as it becomes
    )
    exons: int = 0  # skipped
    exon_change_bp: int | None = (
        None  # of a cryptic or alternative site: by how much its exon grows; None where none is near
    )
    evidence: tuple[
        SiteChange, ...
    ] = ()  # what the call rests on, the leading change first; of NONE what is strong
    partner0: int | None = None  # a pseudoexon's site that is not gained but ends one of `junctions`
    junctions: tuple[JunctionChange, ...] = ()  # that begin or end where the event says, strongest first
    distance_bp: int | None = None  # of the leading change from the nearest annotated exon; 0 within one


def call_event(
    changes: Iterable[SiteChange],
    gene: GeneModel,
    junctions: Iterable[JunctionChange] = (),
    rules: Rules | None = None,
) -> EventCall:
    """The likely event of one variant in one gene.

    Args:
        changes: up to four, the strongest gain and loss of each kind of site on the gene's strand.
        gene: its annotated exons.
        junctions: rows of SPLICE_JUNCTIONS for the gene, if any.
        rules: thresholds and lengths; None: the defaults.
    """
    case = _EventRules(list(changes), gene, list(junctions), rules or Rules())
    call = case.call()
    return call if gene.strand == "+" else _mirror_call(call)


class _EventRules:
    """One variant and gene, turned so that the gene is on the plus strand: donors end exons, acceptors begin them."""

    def __init__(
        self,
        changes: Sequence[SiteChange],
        gene: GeneModel,
        junctions: Sequence[JunctionChange],
        rules: Rules,
    ) -> None:
        self.rules, self.gene = rules, gene.along_strand()
        if gene.strand == "-":
            changes = [_mirror_change(change) for change in changes]
            junctions = [_mirror_junction(junction) for junction in junctions]
        self.changes = changes
        self.junctions = sorted(junctions, key=lambda one: (-one.score, one.start0, one.end0))
        self.annotated = {
            (site, pos0)
            for exons in self.gene.transcripts
            for sites in (
                [(DONOR, exon.end0 - 1) for exon in exons[:-1]],
                [(ACCEPTOR, exon.start0) for exon in exons[1:]],
            )
            for site, pos0 in sites
        }
        known = [(change, (change.site, change.pos0) in self.annotated) for change in changes]
        self.losses = {c.site: c for c, is_annotated in known if is_annotated and -c.score >= rules.threshold}
        self.gains = {c.site: c for c, is_annotated in known if not is_annotated and c.score >= rules.partner}
        self.annotated_gains = {
            c.site: c for c, is_annotated in known if is_annotated and c.score >= rules.threshold
        }

    def call(self) -> EventCall:
        strong = [gain for gain in self.gains.values() if gain.score >= self.rules.threshold]
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
        """No event: nothing is strong, or an annotated site is gained further, or another place lost."""
        strong = [change for change in self.changes if abs(change.score) >= self.rules.threshold]
        strong.sort(key=lambda change: (-abs(change.score), change.site, change.pos0))
        distance_bp = self.gene.distance_bp(strong[0].pos0) if strong else None
        return EventCall(kind=EventKind.NONE, evidence=tuple(strong), distance_bp=distance_bp)

    def _moved(self, site: str) -> EventCall | None:
        loss, gain = self.losses.get(site), self.gains.get(site)
        if loss and gain and gain.score >= self.rules.threshold:
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
        """An exon within an intron, from the gained site and its partner."""
        if self.gene.distance_bp(gain.pos0) == 0:
            return None
        other = self.gains.get(_OTHER[gain.site])
        if other and (region := self._new_exon(gain.site, gain.pos0, other.pos0)):
            return EventCall(kind=EventKind.PSEUDOEXON, region=region, evidence=(gain, other))
        for junction in self.junctions:
            partner0 = junction.end0 if gain.site == DONOR else junction.start0 - 1
            region = self._new_exon(gain.site, gain.pos0, partner0)
            if region and junction.score >= self.rules.junction:
                return EventCall(
                    kind=EventKind.PSEUDOEXON, region=region, evidence=(gain,), partner0=partner0
                )
        return None

    def _new_exon(self, site: str, pos0: int, partner0: int) -> Interval | None:
        """From acceptor to donor, where its length is plausible and no annotated exon overlaps it."""
        donor0, acceptor0 = (pos0, partner0) if site == DONOR else (partner0, pos0)
        exon = Interval(acceptor0, donor0 + 1)
        is_plausible = self.rules.pseudoexon_min_bp <= exon.length_bp <= self.rules.pseudoexon_max_bp
        first0, end0 = self.gene.exons[0].start0, max(known.end0 for known in self.gene.exons)
        is_free = all(exon.end0 <= known.start0 or known.end0 <= exon.start0 for known in self.gene.exons)
        return exon if is_plausible and is_free and first0 < exon.start0 and exon.end0 < end0 else None

    def _cryptic(self, gain: SiteChange, loss: SiteChange | None = None) -> EventCall | None:
        """The exon that the gained site changes least; where a site is lost, one that had it."""
        found = []
        for exons in self.gene.transcripts:
            for index, exon in enumerate(exons):
                lower0 = exons[index - 1].end0 if index else exon.start0
                upper0 = exons[index + 1].start0 if index + 1 < len(exons) else exon.end0
                if gain.site == DONOR:
                    has_site, old0 = index + 1 < len(exons), exon.end0 - 1
                    becomes, is_inside = (
                        Interval(exon.start0, gain.pos0 + 1),
                        exon.start0 <= gain.pos0 < upper0,
                    )
                else:
                    has_site, old0 = index > 0, exon.start0
                    becomes, is_inside = Interval(gain.pos0, exon.end0), lower0 <= gain.pos0 < exon.end0
                growth = becomes.length_bp - exon.length_bp
                fits = has_site and is_inside and growth <= self.rules.shift_max_bp
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
        """The intron that has lost both its sites."""
        sites = {change.site: change.pos0 for change in (loss, other) if change}
        for intron in self._introns():
            if sites == {DONOR: intron.start0 - 1, ACCEPTOR: intron.end0}:
                return EventCall(kind=EventKind.INTRON_RETENTION, region=intron, evidence=(loss, other))
        return None

    def _skipped(self, loss: SiteChange, other: SiteChange | None) -> EventCall | None:
        """Exons from a lost acceptor to a lost donor of one transcript, or else the exon with the stronger loss."""
        both = {change.site: change.pos0 for change in (loss, other) if change}
        for sites, evidence in ((both, (loss, other)), ({loss.site: loss.pos0}, (loss,))):
            found = []
            for exons in self.gene.transcripts:
                inner = exons[1:-1]
                first = _index(inner, sites.get(ACCEPTOR), [exon.start0 for exon in inner])
                last = _index(inner, sites.get(DONOR), [exon.end0 - 1 for exon in inner])
                first, last = (last if first is None else first), (first if last is None else last)
                if first is not None and first >= 0 and last >= first:
                    skipped = Interval(inner[first].start0, inner[last].end0)
                    found.append((skipped, last - first + 1))
            if found:
                # That of most transcripts; of those the shortest, the first.
                region, exons = min(found, key=lambda one: (-found.count(one), one[0].length_bp, one))
                return EventCall(
                    kind=EventKind.EXON_SKIPPING,
                    region=region,
                    exons=exons,
                    evidence=tuple(change for change in evidence if change),
                )
        return None

    def _retained_at_end(self, loss: SiteChange) -> EventCall:
        """The shortest intron of a site that no inner exon has: a first exon's donor or a last exon's acceptor."""
        introns = [
            intron
            for intron in self._introns()
            if loss.pos0 == (intron.start0 - 1 if loss.site == DONOR else intron.end0)
        ]
        intron = min(introns, key=lambda one: (one.length_bp, one))
        return EventCall(kind=EventKind.INTRON_RETENTION, region=intron, evidence=(loss,))

    def _introns(self) -> list[Interval]:
        """The distinct introns, ascending."""
        return sorted(
            {
                Interval(before.end0, after.start0)
                for exons in self.gene.transcripts
                for before, after in itertools.pairwise(exons)
            }
        )

    def _supporting(self, call: EventCall) -> Iterator[JunctionChange]:
        """Junctions at the sites that changed, over the skipped exons, or of the retained intron."""
        donors = {change.pos0 + 1 for change in call.evidence if change.site == DONOR}
        acceptors = {change.pos0 for change in call.evidence if change.site == ACCEPTOR}
        for junction in self.junctions:
            spans = (
                call.kind is EventKind.EXON_SKIPPING
                and junction.start0 <= call.region.start0
                and junction.end0 >= call.region.end0
            )
            at_partner = call.partner0 in (junction.start0 - 1, junction.end0) and call.partner0 is not None
            if junction.start0 in donors or junction.end0 in acceptors or spans or at_partner:
                yield junction


def _index(exons: Sequence[Interval], pos0: int | None, places0: Sequence[int]) -> int | None:
    """The first of `exons` whose place is `pos0`: None where none is asked for, -1 where none is found."""
    if pos0 is None:
        return None
    return places0.index(pos0) if pos0 in places0 else -1


def _mirror_change(change: SiteChange) -> SiteChange:
    return dataclasses.replace(change, pos0=-change.pos0)


def _mirror_junction(junction: JunctionChange) -> JunctionChange:
    intron = Interval(junction.start0, junction.end0).mirrored()
    return dataclasses.replace(junction, start0=intron.start0, end0=intron.end0)


def _mirror_call(call: EventCall) -> EventCall:
    return dataclasses.replace(
        call,
        region=call.region and call.region.mirrored(),
        evidence=tuple(map(_mirror_change, call.evidence)),
        partner0=None if call.partner0 is None else -call.partner0,
        junctions=tuple(map(_mirror_junction, call.junctions)),
    )
