"""Plan what is read for an allele. Scorers that read the same positions share the signals there."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Int32

from vepscore.contract import Footprint, Scorer, Site
from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.selection import needed_outputs
from vepscore.genome.alignment import (
    AlternateIndex,
    align_positions,
    align_to_both,
    choose_right_pairs,
)
from vepscore.outputs import PAIR_BIN_BP, Output


class AlignedPositions(NamedTuple):
    """Where both alleles are read, in bins of the output's resolution.

    Attributes:
        reference: ascending, padded with -1.
        alternate: the bins aligned to these; -1: no bin, the signal is zero.
        anchor: the index in `alternate` that takes the maximum over `span`; out of range for none.
        span: bins of inserted sequence, padded with -1.
    """

    reference: Int32[Any, " positions"]
    alternate: Int32[Any, " positions"]
    anchor: Int[Any, ""]
    span: Int32[Any, " span"]

    def in_reference(self) -> "AlignedPositions":
        """Return the positions to read in the reference allele."""
        return _without_insertion(self.reference)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What one scorer reads."""

    scorer: Scorer
    footprint: Footprint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Scorers that read the same positions, possibly of several outputs."""

    positions: AlignedPositions
    requests: tuple[Request, ...]

    @functools.cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs whose signals are read; for junctions, the splice sites that they are between."""
        needed: set[Output] = set().union(*(needed_outputs(request.scorer) for request in self.requests))
        return tuple(sorted(needed - {Output.SPLICE_JUNCTIONS}))

    @property
    def resolution_bp(self) -> int:
        """The resolution of all its outputs."""
        return self.outputs[0].resolution_bp

    def reference_bins(self) -> Int[np.ndarray, " bins"]:
        """Return the bins that are read in the reference."""
        read = self.positions.reference
        return read[read >= 0]

    def alternate_bins(self, window: int, width_bp: int) -> Int[np.ndarray, " bins"]:
        """Return the bins that are read in one of the alternate's windows, counted from its start.

        Args:
            window: 0, or 1 for the right-anchored window.
            width_bp: width of a window.
        """
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
            key = (scorer.output.resolution_bp, footprint.aligned, footprint.positions.tobytes())
            groups.setdefault(key, []).append(Request(scorer=scorer, footprint=footprint))
    return AllelePlan(
        allele=allele,
        scorers=tuple(scorers),
        groups=tuple(
            Group(
                positions=_align(requests[0].footprint, resolution_bp, allele.site), requests=tuple(requests)
            )
            for (resolution_bp, *_), requests in groups.items()
        ),
    )


def _align(footprint: Footprint, resolution_bp: int, site: Site) -> AlignedPositions:
    positions = footprint.positions
    if site.has_two_windows and resolution_bp < PAIR_BIN_BP:
        return _aligned(positions, align_to_both(positions, resolution_bp, site.allele, site.window))
    if footprint.aligned and not site.has_two_windows:
        return _aligned(positions, align_positions(positions, site.allele, site.window))
    return _without_insertion(positions)


def _aligned(positions: Int32[np.ndarray, " positions"], index: AlternateIndex) -> AlignedPositions:
    return AlignedPositions(positions, alternate=index.positions, anchor=index.anchor, span=index.span)


def _without_insertion(positions: Int32[Any, " positions"]) -> AlignedPositions:
    """Return positions that are the same in both alleles."""
    return AlignedPositions(
        positions, alternate=positions, anchor=np.int32(len(positions)), span=np.full(1, -1, np.int32)
    )


def join_pairs(
    left: Float[Array, "pairs pairs features"],
    right: Float[Array, "pairs pairs features"],
    plan: AllelePlan,
    *,
    reverse: bool,
) -> Float[Array, "pairs pairs features"]:
    """Return the pair representation of an alternate allele with two windows that are not joined.

    It is that of the left-anchored window if no scorer reads contacts.
    """
    if not any(group.resolution_bp == PAIR_BIN_BP for group in plan.groups):
        return left
    is_right = choose_right_pairs(PAIR_BIN_BP, plan.allele.site.allele, plan.allele.site.window)
    return jnp.where((is_right[::-1, ::-1] if reverse else is_right)[..., None], right, left)
