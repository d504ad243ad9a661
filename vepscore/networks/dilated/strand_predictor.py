"""Predictions of one strand of a stretch of the genome, for both alleles."""

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, UInt8

from vepscore.genome.windows import reverse_complement
from vepscore.networks.dilated.reference_tiles import ReferenceTiles, Replacement
from vepscore.threads import granted_threads

_LEAST_PREDICTED_BP = 1024
_KEPT_STRETCHES = 3  # of both strands, and of genes that overlap

Values = Float32[np.ndarray, "_ values"]  # what `DilatedNetwork.strand_values` returns


class Stretch(NamedTuple):
    """A stretch of the reference, and the same with the alternate allele; the sequence of a gene's strand is in it.

    The reference begins `slack` bases before the alternate, and is longer by twice as many.
    """

    reference: UInt8[np.ndarray, " bases"]
    alternate: UInt8[np.ndarray, " bases"]
    first0: int  # position of the reference's first base in the genome, 0-based
    start: int  # first replaced base, in the alternate
    reference_bp: int
    alternate_bp: int
    slack: int
    strand: str


class StrandPredictor:
    """Predicts both alleles of stretches on one strand; neighbors share what they have in common."""

    def __init__(self, network: Any) -> None:
        graph, self._state = nnx.split(network)
        self._evaluate = jax.jit(functools.partial(_evaluate, graph))
        self._trunk, self._weights = network.trunk, network.trunk.weights()
        self._margin_bp = network.margin_bp
        self._threads = ThreadPoolExecutor(granted_threads(), thread_name_prefix="network")
        self._kept: list[tuple[tuple[str, int], ReferenceTiles]] = []  # the last used one is the last

    def predict(self, stretch: Stretch) -> tuple[Values, Values]:
        """Return the values of the reference, at the positions of the alternate's, and those of the alternate.

        Compiled once for each width of `alternate` and each `slack`.
        """
        size, slack = len(stretch.alternate) - 2 * self._margin_bp, stretch.slack
        codes, first = stretch.reference, stretch.first0
        bases = stretch.alternate[stretch.start :][: stretch.alternate_bp]
        start, predicted = first + slack + stretch.start, first + slack + self._margin_bp
        growth = stretch.alternate_bp - stretch.reference_bp
        alternate_first = predicted
        if stretch.strand == "-":  # a position of the minus strand is -1 minus that of the plus strand
            codes, first, bases = reverse_complement(codes), -first - len(codes), reverse_complement(bases)
            start, predicted = -start - stretch.reference_bp, -predicted - size
            alternate_first = predicted + growth
        bases = np.pad(bases, (0, slack + 1 - len(bases)))
        allele = Replacement(start, stretch.reference_bp, stretch.alternate_bp, bases)
        tiles = self._find(stretch.strand, size + slack, codes, first)
        embedded = tiles.embed(codes, first, predicted, alternate_first, size, allele)
        reference, alternate = jax.device_get(self._evaluate(self._state, embedded))
        step = 1 if stretch.strand == "+" else -1
        return reference[::step], alternate[::step]

    def _find(
        self, strand: str, predicted_bp: int, codes: UInt8[np.ndarray, " bases"], first: int
    ) -> ReferenceTiles:
        """Return what is known of this sequence; if nothing is, a new or the least recently used stretch."""
        key = strand, max(_LEAST_PREDICTED_BP, 1 << (predicted_bp - 1).bit_length())
        alike = [(kept_key, tiles) for kept_key, tiles in self._kept if kept_key == key]
        found = next((kept for kept in alike if kept[1].has(codes, first)), None)
        if found is None and len(self._kept) >= _KEPT_STRETCHES:
            dropped = self._kept.pop(0)
            found = dropped if dropped[0] == key else None  # its memory is used again
        elif found is not None:
            self._kept.remove(found)
        if found is None:
            found = key, ReferenceTiles(self._trunk, self._weights, self._threads, key[1])
        self._kept.append(found)
        return found[1]


def _evaluate(
    graph: nnx.GraphDef, state: nnx.State, embedded: tuple[Float[Array, "networks positions channels"], ...]
) -> list[Float32[Array, "positions values"]]:
    network = nnx.merge(graph, state)
    joined = [jnp.moveaxis(x, 0, 1).reshape(x.shape[1], -1) for x in embedded]
    return [network.strand_values(x) for x in joined]
