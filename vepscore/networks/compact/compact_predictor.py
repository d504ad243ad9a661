"""The predictor of compact networks: that of the stack for splicing, AlphaGenome's for the other outputs."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Int

from vepscore.model.allele_plan import AllelePlan
from vepscore.model.predictor import Predictor, Reader, Readers
from vepscore.networks.alphagenome.sparse_predictor import SparsePredictor
from vepscore.networks.compact.compact_config import SPLICING
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.networks.compact.stack_predictor import StackPredictor
from vepscore.outputs import Output


class CompactReader(NamedTuple):
    """The embeddings of an allele's windows; None of a part of which no scorer reads anything."""

    splicing: Reader | None
    tracks: Reader | None

    @property
    def width_bp(self) -> int:
        """Width of a window."""
        part = self.tracks if self.splicing is None else self.splicing
        assert part is not None
        return part.width_bp

    def read(
        self, network: CompactNetwork, output: Output, index: Int[Array, "*positions"]
    ) -> Float[Array, "..."]:
        """Return the embeddings that `output` reads, at its bins `index`."""
        if output in SPLICING:
            assert self.splicing is not None
            return self.splicing.read(network, output, index)
        assert self.tracks is not None and network.tracks is not None
        return self.tracks.read(network.tracks, output, index)


class CompactPredictor:
    """Runs both parts of a network where scorers read.

    Args:
        network: the network, with its parameters on the device.
        batch: number of alternates of one reference window that go through the tower together.
        reverse: give the network the windows' minus strand.
        tower_devices: devices over which each window's tower is divided, by position; None to run it where the
            parameters are.
    """

    def __init__(
        self,
        network: CompactNetwork,
        *,
        batch: int,
        reverse: bool,
        tower_devices: Sequence[jax.Device] | None = None,
    ) -> None:
        self._splicing: Predictor | None = None
        self._tracks: Predictor | None = None
        if network.stack is not None:
            self._splicing = StackPredictor(network.stack, reverse=reverse)
        if network.tracks is not None:
            self._tracks = SparsePredictor(
                network.tracks, batch=batch, reverse=reverse, tower_devices=tower_devices
            )

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order; they can be used until the next ones are taken."""
        of_stack = _read_some(self._splicing, plans, lambda output: output in SPLICING)
        of_tracks = _read_some(self._tracks, plans, lambda output: output not in SPLICING)
        for splicing, tracks in zip(of_stack, of_tracks, strict=True):
            yield Readers(
                CompactReader(splicing and splicing.reference, tracks and tracks.reference),
                CompactReader(splicing and splicing.alternate, tracks and tracks.alternate),
                keeps_reference=True,
            )

    def clear_cache(self) -> None:
        """Forget what was computed for earlier windows; compiled programs and memory stay allocated."""
        for predictor in (self._splicing, self._tracks):
            if predictor is not None:
                predictor.clear_cache()


def _read_some(
    predictor: Predictor | None, plans: Sequence[AllelePlan], is_read: Callable[[Output], bool]
) -> Iterator[Readers | None]:
    """Yield the predictor's readers of each allele; None if scorers read none of its outputs."""
    parts = [_of_outputs(plan, is_read) for plan in plans]
    found = iter(()) if predictor is None else predictor.read([part for part in parts if part.groups])
    for part in parts:
        yield next(found) if part.groups else None
    next(found, None)  # frees the pages of the last alternate


def _of_outputs(plan: AllelePlan, is_read: Callable[[Output], bool]) -> AllelePlan:
    """Return the plan with only what scorers of these outputs read."""
    groups = []
    for group in plan.groups:
        requests = tuple(request for request in group.requests if is_read(request.scorer.output))
        if requests:
            groups.append(dataclasses.replace(group, requests=requests))
    return dataclasses.replace(plan, groups=tuple(groups))
