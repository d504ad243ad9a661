"""The dense engine: a full forward pass for each window of a variant's alleles, and heads where scorers read.

It works with any network, and is the reference implementation that the sparse engine is tested with: it shares nothing
between windows. Heads are pointwise, so evaluating them only where scorers read changes no number.

A window on the minus strand is given to the network as its reverse complement; see `vepscore.engine.strand`.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Int, UInt8

from vepscore.contract import Scorer
from vepscore.engine.scoring_engine import ScoringEngine
from vepscore.genome.windows import reverse_complement
from vepscore.model.allele_plan import AllelePlan
from vepscore.model.checkpoint import Checkpoint
from vepscore.model.network import LOADED_ORGANISM, Network, one_hot
from vepscore.model.predictor import Readers
from vepscore.outputs import Output


@functools.partial(jax.tree_util.register_dataclass, data_fields=["embeddings"], meta_fields=["width_bp"])
@dataclasses.dataclass(frozen=True)
class DenseReader:
    """All embeddings of an allele's windows, end to end, without a batch axis."""

    embeddings: Any
    width_bp: int  # of a window

    def read(self, network: Any, output: Output, index: Int[Array, "*positions"]) -> Float[Array, "..."]:
        """Return the embeddings that `output` reads, at its bins `index`."""
        return network.select(self.embeddings, output)[index]


class DensePredictor:
    """Runs a network over whole windows.

    Args:
        network: the network, on its device.
        batch: number of windows in one forward pass.
        reverse: give the network the windows' minus strand.
    """

    def __init__(self, network: Network, *, batch: int, reverse: bool) -> None:
        self._network, self._batch, self._reverse = network, batch, reverse
        graph, self._state = nnx.split(network)
        self._embed = jax.jit(functools.partial(_embed, graph))
        self._embed_joined = jax.jit(functools.partial(_embed_joined, graph))

    def read(self, plans: Sequence[AllelePlan]) -> Iterator[Readers]:
        """Yield the readers of each allele, in order."""
        references = self._embed_all([plan.allele.reference_codes for plan in plans])
        whole = [plan.allele for plan in plans if not self._joins(plan)]
        alternates = iter(self._embed_all([codes for allele in whole for codes in allele.alternates]))
        for plan, reference in zip(plans, references, strict=True):
            yield Readers(reference, self._alternate(plan, reference, alternates), keeps_reference=False)

    def clear_cache(self) -> None:
        """Do nothing: nothing is kept."""

    def _joins(self, plan: AllelePlan) -> bool:
        return self._network.joins_windows and plan.allele.site.joins_windows

    def _alternate(
        self, plan: AllelePlan, reference: DenseReader, alternates: Iterator[DenseReader]
    ) -> DenseReader:
        """Return the embeddings of an alternate allele; those of whole windows are the next of `alternates`."""
        allele = plan.allele
        if allele.changes_nothing:
            return reference
        if self._joins(plan):
            codes = np.stack([self._seen(window) for window in allele.alternates])
            seam = self._network.seam(plan, reverse=self._reverse)
            return DenseReader(self._embed_joined(self._state, codes, seam), reference.width_bp)
        if not allele.site.has_two_windows:
            return next(alternates)
        left, right = (next(alternates).embeddings for _ in allele.alternates)
        joined = self._network.join(left, right, plan, reverse=self._reverse)
        return DenseReader(joined, reference.width_bp)

    def _seen(self, codes: UInt8[np.ndarray, " bases"]) -> UInt8[np.ndarray, " bases"]:
        """Return the window as the network sees it."""
        return reverse_complement(codes) if self._reverse else codes

    def _embed_all(self, codes: Sequence[UInt8[np.ndarray, " bases"]]) -> list[DenseReader]:
        """Return the embeddings of each window; `batch` windows go through the network together."""
        windows = [self._seen(window) for window in codes]
        margins_bp = 2 * self._network.margin_bp
        readers: list[DenseReader] = []
        for first in range(0, len(windows), self._batch):
            chunk = windows[first : first + self._batch]
            filled = np.stack(chunk + [chunk[-1]] * (self._batch - len(chunk)))
            predicted_bp = filled.shape[1] - margins_bp
            embedded = self._embed(self._state, filled)[: len(chunk)]
            readers += [DenseReader(embeddings, predicted_bp) for embeddings in embedded]
        return readers


class DenseEngine(ScoringEngine):
    """Scores alleles with full forward passes.

    Args:
        checkpoint: the network and its tracks.
        scorers: the scorers of the run.
        batch: number of windows in one forward pass, and of alleles that it works on together.
        strand: the strand of the windows that the network reads, "+" or "-"; scores are in coordinates of the plus
            strand in either case.

    Raises:
        CheckpointError: on "-", the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self, checkpoint: Checkpoint, scorers: Sequence[Scorer], *, batch: int = 1, strand: str = "+"
    ) -> None:
        reverse = {"+": False, "-": True}[strand]
        predictor = DensePredictor(checkpoint.network, batch=batch, reverse=reverse)
        super().__init__(checkpoint, checkpoint.network, predictor, scorers, batch=batch, reverse=reverse)


def _embed(graph: nnx.GraphDef, state: nnx.State, codes: UInt8[Array, "batch bases"]) -> list[Any]:
    """Return the embeddings of each window, without a batch axis."""
    network = nnx.merge(graph, state)
    embeddings = network.embed(one_hot(codes, network.dtype), LOADED_ORGANISM)
    return [jax.tree.map(lambda x, i=i: x[i], embeddings) for i in range(codes.shape[0])]


def _embed_joined(graph: nnx.GraphDef, state: nnx.State, codes: UInt8[Array, "2 bases"], seam: Any) -> Any:
    """Return the embeddings of an alternate whose two windows are joined at the seam."""
    network = nnx.merge(graph, state)
    return network.embed_joined(one_hot(codes, network.dtype), seam, LOADED_ORGANISM)
