"""Plan what is read for an allele. Scorers that read the same positions share the signals there."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from jaxtyping import Int, UInt8

from vepscore.contract import Footprint, Scorer, Site
from vepscore.genome.alignment import AlignedPositions, align_positions, align_to_both
from vepscore.genome.alleles import Status
from vepscore.outputs import Output


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAllele:
    """One ALT of a record that can be scored."""

    alt: str  # as the VCF has it
    n_fraction: float  # fraction of the reference window that is N
    site: Site
    reference_codes: UInt8[np.ndarray, " window"]
    # One window, or two (left- and right-anchored); none if the alternate equals the reference, as for ALT equal to
    # REF, or for a region without a variant.
    alternates: tuple[UInt8[np.ndarray, " window"], ...]
    status: ClassVar[Status] = Status.OK

    @property
    def changes_nothing(self) -> bool:
        """Whether the alternate equals the reference."""
        return not self.alternates


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What one scorer reads."""

    scorer: Scorer
    footprint: Footprint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Scorers that read the same positions, possibly of several outputs."""

    positions: AlignedPositions
    resolution_bp: int
    requests: tuple[Request, ...]

    @functools.cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs whose signals are read; for junctions, the splice sites that they are between."""
        needed: set[Output] = set().union(*(needed_outputs(request.scorer) for request in self.requests))
        return tuple(sorted(needed - {Output.SPLICE_JUNCTIONS}))

    @property
    def strand(self) -> str | None:
        """The strand that all scorers read; None for both."""
        strands = {request.footprint.strand for request in self.requests}
        return strands.pop() if len(strands) == 1 else None

    def reference_bins(self) -> Int[np.ndarray, " bins"]:
        """Return the bins that are read in the reference."""
        read = self.positions.reference
        return read[read >= 0]

    def alternate_bins(self, window: int, width_bp: int) -> Int[np.ndarray, " bins"]:
        """Return the bins that are read in the alternate's window 0, or 1 (right-anchored), counted from its start."""
        size = width_bp // self.resolution_bp
        read = np.append(self.positions.alternate, self.positions.span) - window * size
        return read[(read >= 0) & (read < size)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllelePlan:
    """What the scorers of a run read for one allele."""

    allele: ReadyAllele
    scorers: tuple[Scorer, ...]
    groups: tuple[Group, ...]


def plan_allele(allele: ReadyAllele, scorers: Sequence[Scorer]) -> AllelePlan:
    """Ask every scorer what it reads, and group those that read the same positions."""
    groups: dict[tuple, list[Request]] = {}
    for scorer in scorers:
        footprint = scorer.footprint(allele.site)
        if footprint is not None:
            resolution_bp = allele.site.resolution_bp(scorer.output)
            key = (resolution_bp, footprint.aligned, footprint.positions.tobytes())
            groups.setdefault(key, []).append(Request(scorer=scorer, footprint=footprint))
    return AllelePlan(
        allele=allele,
        scorers=tuple(scorers),
        groups=tuple(
            Group(
                positions=_align(requests[0], resolution_bp, allele.site),
                resolution_bp=resolution_bp,
                requests=tuple(requests),
            )
            for (resolution_bp, *_), requests in groups.items()
        ),
    )


def _align(request: Request, resolution_bp: int, site: Site) -> AlignedPositions:
    """Return where both alleles are read, in bins of the output's resolution."""
    footprint = request.footprint
    positions = footprint.positions
    if site.has_two_windows and request.scorer.output is not Output.CONTACT_MAPS:
        return align_to_both(positions, resolution_bp, site.allele, site.window)
    if footprint.aligned and not site.has_two_windows:
        return align_positions(positions, site.allele, site.window)
    return AlignedPositions.unchanged(positions)


def needed_outputs(scorer: Scorer) -> set[Output]:
    """Return the outputs whose heads a scorer needs; junctions are predicted between classified splice sites."""
    if scorer.output is Output.SPLICE_JUNCTIONS:
        return {Output.SPLICE_JUNCTIONS, Output.SPLICE_SITES}
    return {scorer.output}
