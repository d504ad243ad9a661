"""The dense engine: a whole forward pass for each window of a variant's alleles, heads where scorers read.

It is the plain way, and the oracle of the sparse one: nothing is left out of the trunk, the tower or the decoder, and
nothing is shared. The heads are pointwise, so reading them only at the positions asked for changes no number.

A window on the minus strand is given to the network as its reverse complement; see `vepscore.engine.strand`.

Axes: B windows, S bp, C channels, P positions read.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.contract import Scorer
from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.scoring import AllelePlan, AlleleScores, NotFiniteError, Scoring, join_pairs, plan_allele
from vepscore.engine.settings import fixed_settings
from vepscore.genome.alignment import choose_right_bins
from vepscore.genome.windows import reverse_complement
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint
from vepscore.model.config import TRUNK_BIN_BP
from vepscore.model.network import Embeddings, one_hot
from vepscore.outputs import PAIR_BIN_BP, Output


class DenseReader(NamedTuple):
    """All embeddings of an allele's windows, end to end; the pair embedding has one window's shape."""

    embeddings: Embeddings  # without the batch axis

    @property
    def width_bp(self) -> int:
        """S."""
        return len(self.embeddings.pair) * PAIR_BIN_BP

    def read(self, network: Any, organism: jax.Array, output: Output, index: jax.Array) -> jax.Array:
        """The embeddings that `output` reads, at its bins `index`."""
        return self.embeddings.of(output)[index]


class DenseEngine:
    """Scores alleles with one checkpoint.

    Args:
        checkpoint: the network and its tracks.
        scorers: which scores to make.
        rotary_dtype: dtype of the tower's rotary tables, "float32" or "bfloat16".
        batch: windows in one forward pass.
        strand: of the windows that the network reads, "+" or "-"; scores are about the plus strand's coordinates.

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
        """The matrices of each allele, in the order of the scorers; at most `batch` alleles."""
        with fixed_settings(self._precision, self._device):
            return self._score_batch(alleles)

    def _score_batch(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        references = self._embed_all([allele.reference_codes for allele in alleles])
        whole = [allele for allele in alleles if not allele.site.joins_windows]
        own = iter(self._embed_all([codes for allele in whole for codes in allele.alternates]))
        results: list[AlleleScores] = []
        for allele, reference in zip(alleles, references, strict=True):
            plan = plan_allele(allele, self.scorers)
            alternate = self._alternate(plan, reference, own)
            try:
                results.append(
                    self._scoring.score(
                        plan,
                        reference,
                        alternate,
                        functools.partial(self._scoring.predict, reader=reference, alternate=False),
                    )
                )
            except NotFiniteError as error:
                results.append(error)
        return results

    def _alternate(self, plan: AllelePlan, reference: DenseReader, own: Iterator[DenseReader]) -> DenseReader:
        """Return the embeddings of an alternate allele; those of whole windows are the next of `own`."""
        allele = plan.allele
        if allele.changes_nothing:
            return reference
        if allele.site.joins_windows:
            is_right = choose_right_bins(TRUNK_BIN_BP, allele.site.allele, allele.site.window)
            codes = np.stack([self._seen(window) for window in allele.alternates])
            return self._embed_joined(self._state, codes, is_right[::-1] if self._reverse else is_right)
        if not allele.site.has_two_windows:
            return next(own)
        left, right = (next(own).embeddings for _ in allele.alternates)
        return DenseReader(
            Embeddings(
                bp1=jnp.concatenate([left.bp1, right.bp1]),
                bp128=jnp.concatenate([left.bp128, right.bp128]),
                pair=join_pairs(left.pair, right.pair, plan, reverse=self._reverse),
            )
        )

    def _seen(self, codes: np.ndarray) -> np.ndarray:
        return reverse_complement(codes) if self._reverse else codes

    def _embed_all(self, codes: Sequence[np.ndarray]) -> list[DenseReader]:
        """Return the embeddings of each window; `batch` windows go through the network together."""
        windows = [self._seen(window) for window in codes]
        readers: list[DenseReader] = []
        for first in range(0, len(windows), self.batch):
            chunk = windows[first : first + self.batch]
            filled = np.stack(chunk + [chunk[-1]] * (self.batch - len(chunk)))
            readers += self._embed(self._state, filled)[: len(chunk)]
        return readers


def _embed(
    graph: nnx.GraphDef, rotary_dtype: jnp.dtype, state: nnx.State, codes: jax.Array
) -> list[DenseReader]:
    """uint8 codes (B, S) to the embeddings of each window, without the batch axis."""
    network = nnx.merge(graph, state)
    dtype = network.dtype
    embeddings = network(one_hot(codes, dtype), LOADED_ORGANISM, rotary_dtype=rotary_dtype)
    return [DenseReader(jax.tree.map(lambda x, i=i: x[i], embeddings)) for i in range(codes.shape[0])]


def _embed_joined(
    graph: nnx.GraphDef, rotary_dtype: jnp.dtype, state: nnx.State, codes: jax.Array, is_right: jax.Array
) -> DenseReader:
    """uint8 codes (2, S) of an alternate's windows, joined at the bins `is_right` (S // 128,), to its embeddings."""
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
