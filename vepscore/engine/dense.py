"""The dense engine: a full forward pass for each window of a variant's alleles, and heads where scorers read.

It is the reference implementation, used to test the sparse engine. It computes the whole trunk, tower and decoder, and
shares nothing between windows. Heads are pointwise, so evaluating them only where scorers read changes no number.

A window on the minus strand is given to the network as its reverse complement; see `vepscore.engine.strand`.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, UInt8

from vepscore.contract import Scorer
from vepscore.engine.allele_plan import AllelePlan, join_pairs, plan_allele, right_bins
from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.scoring import AlleleScores, Scoring
from vepscore.engine.settings import fixed_settings
from vepscore.genome.windows import reverse_complement
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint
from vepscore.networks.alphagenome.network import Embeddings, one_hot
from vepscore.outputs import PAIR_BIN_BP, Output


class DenseReader(NamedTuple):
    """All embeddings of an allele's windows, end to end, without a batch axis; one pair embedding for all windows."""

    embeddings: Embeddings

    @property
    def width_bp(self) -> int:
        """Width of a window."""
        return len(self.embeddings.pair) * PAIR_BIN_BP

    def read(self, network: Any, output: Output, index: Int[Array, "*positions"]) -> Float[Array, "..."]:
        """Return the embeddings that `output` reads, at its bins `index`."""
        return self.embeddings.of(output)[index]


class DenseEngine:
    """Scores alleles with one checkpoint.

    Args:
        checkpoint: the network and its tracks.
        scorers: the scorers of the run.
        rotary_dtype: dtype of the tower's rotary tables, "float32" or "bfloat16".
        batch: number of windows in one forward pass.
        strand: the strand of the windows that the network reads, "+" or "-"; scores are in coordinates of the plus
            strand in either case.

    Raises:
        CheckpointError: on "-", the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        scorers: Sequence[Scorer],
        *,
        rotary_dtype: str = "float32",
        batch: int = 1,
        strand: str = "+",
    ) -> None:
        self._reverse = {"+": False, "-": True}[strand]
        self.scorers = tuple(scorers)
        self.tracks = checkpoint.tracks
        self._scoring = Scoring(checkpoint.network, checkpoint.tracks, scorers, reverse=self._reverse)
        self.batch = batch
        self._precision, self._device = checkpoint.network.dtype.name, checkpoint.network.device
        graph, self._state = nnx.split(checkpoint.network)
        self._embed = jax.jit(functools.partial(_embed, graph, jnp.dtype(rotary_dtype)))
        self._embed_joined = jax.jit(functools.partial(_embed_joined, graph, jnp.dtype(rotary_dtype)))

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """Return the score matrices of each of at most `batch` alleles, in the order of the scorers."""
        with fixed_settings(self._precision, self._device):
            return self._score_batch(alleles)

    def _score_batch(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        references = self._embed_all([allele.reference_codes for allele in alleles])
        whole = [allele for allele in alleles if not allele.site.joins_windows]
        alternates = iter(self._embed_all([codes for allele in whole for codes in allele.alternates]))
        results: list[AlleleScores] = []
        for allele, reference in zip(alleles, references, strict=True):
            plan = plan_allele(allele, self.scorers)
            alternate = self._alternate(plan, reference, alternates)
            predict = functools.partial(self._scoring.predict, reader=reference, alternate=False)
            results.append(self._scoring.score(plan, reference, alternate, predict))
        return results

    def _alternate(
        self, plan: AllelePlan, reference: DenseReader, alternates: Iterator[DenseReader]
    ) -> DenseReader:
        """Return the embeddings of an alternate allele; those of whole windows are the next of `alternates`."""
        allele = plan.allele
        if allele.changes_nothing:
            return reference
        if allele.site.joins_windows:
            codes = np.stack([self._seen(window) for window in allele.alternates])
            return self._embed_joined(self._state, codes, right_bins(plan, reverse=self._reverse))
        if not allele.site.has_two_windows:
            return next(alternates)
        left, right = (next(alternates).embeddings for _ in allele.alternates)
        return DenseReader(
            Embeddings(
                bp1=jnp.concatenate([left.bp1, right.bp1]),
                bp128=jnp.concatenate([left.bp128, right.bp128]),
                pair=join_pairs(left.pair, right.pair, plan, reverse=self._reverse),
            )
        )

    def _seen(self, codes: UInt8[np.ndarray, " bases"]) -> UInt8[np.ndarray, " bases"]:
        """Return the window as the network sees it."""
        return reverse_complement(codes) if self._reverse else codes

    def _embed_all(self, codes: Sequence[UInt8[np.ndarray, " bases"]]) -> list[DenseReader]:
        """Return the embeddings of each window; `batch` windows go through the network together."""
        windows = [self._seen(window) for window in codes]
        readers: list[DenseReader] = []
        for first in range(0, len(windows), self.batch):
            chunk = windows[first : first + self.batch]
            filled = np.stack(chunk + [chunk[-1]] * (self.batch - len(chunk)))
            readers += self._embed(self._state, filled)[: len(chunk)]
        return readers


def _embed(
    graph: nnx.GraphDef, rotary_dtype: jnp.dtype, state: nnx.State, codes: UInt8[Array, "batch bases"]
) -> list[DenseReader]:
    """Return the embeddings of each window, without a batch axis."""
    network = nnx.merge(graph, state)
    dtype = network.dtype
    embeddings = network(one_hot(codes, dtype), LOADED_ORGANISM, rotary_dtype=rotary_dtype)
    return [DenseReader(jax.tree.map(lambda x, i=i: x[i], embeddings)) for i in range(codes.shape[0])]


def _embed_joined(
    graph: nnx.GraphDef,
    rotary_dtype: jnp.dtype,
    state: nnx.State,
    codes: UInt8[Array, "2 bases"],
    is_right: Bool[Array, " window"],
) -> DenseReader:
    """Return the embeddings of an alternate whose two windows are joined; `is_right` tells whose bins to use."""
    network = nnx.merge(graph, state)
    dna = one_hot(codes, network.dtype)
    embeddings = network.embed_joined(dna, is_right, LOADED_ORGANISM, rotary_dtype=rotary_dtype)
    return DenseReader(
        Embeddings(
            bp1=jnp.concatenate(list(embeddings.bp1)),
            bp128=jnp.concatenate([embeddings.bp128[0]] * 2),
            pair=embeddings.pair[0],
        )
    )
