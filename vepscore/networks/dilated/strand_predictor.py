"""Predictions of one strand of a stretch of the genome, for both alleles.

Of the reference it keeps what alternate alleles share with it, for the few stretches that were read last.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float32, UInt8

from vepscore.model.network import one_hot
from vepscore.outputs import Output

_CACHED_REFERENCES = 4

Values = Float32[np.ndarray, "_ classes"]  # donor, acceptor


class Stretch(NamedTuple):
    """A stretch of the reference, and the same with the alternate allele; the sequence of a gene's strand is in it.

    The reference begins `slack` bases before the alternate, and is longer by twice as many.
    """

    reference: UInt8[np.ndarray, " bases"]
    alternate: UInt8[np.ndarray, " bases"]
    start: int  # first replaced base, in the alternate
    reference_bp: int
    alternate_bp: int
    slack: int
    strand: str


class StrandPredictor:
    """Predicts both alleles of stretches on one strand; of the reference it keeps what alternates share with it."""

    def __init__(self, network: Any) -> None:
        graph, self._state = nnx.split(network)
        self._activate = jax.jit(functools.partial(_activate, graph), static_argnames="strand")
        self._change = jax.jit(functools.partial(_change, graph), static_argnames=("strand", "changed_bp"))
        self._references: dict[tuple[bytes, str], tuple[Any, Values]] = {}

    def predict(self, stretch: Stretch) -> tuple[Values, Values]:
        """Return the values of the reference, at the positions of the alternate's, and those of the alternate."""
        key = stretch.reference.tobytes(), stretch.strand
        if key not in self._references:
            while len(self._references) >= _CACHED_REFERENCES:
                self._references.pop(next(iter(self._references)))
            self._references[key] = self._activate(self._state, stretch.reference, strand=stretch.strand)
        activations, values = self._references[key]
        changed = self._change(
            self._state,
            activations,
            stretch.alternate,
            stretch.start,
            stretch.reference_bp,
            stretch.alternate_bp,
            strand=stretch.strand,
            changed_bp=stretch.slack + 1,
        )
        reference, alternate = jax.device_get((values, changed))
        return reference[stretch.slack : len(reference) - stretch.slack], alternate


def _activate(
    graph: nnx.GraphDef, state: nnx.State, codes: UInt8[Array, " bases"], *, strand: str
) -> tuple[Any, Float32[Array, "positions classes"]]:
    network = nnx.merge(graph, state)
    activations = network.activate(one_hot(codes, network.dtype), strands=strand)
    embedding = network.embedding(activations, strands=strand)
    return activations, network.predict(Output.SPLICE_SITES, embedding)


def _change(
    graph: nnx.GraphDef,
    state: nnx.State,
    activations: Any,
    codes: UInt8[Array, " bases"],
    start: Array,
    reference_bp: Array,
    alternate_bp: Array,
    *,
    strand: str,
    changed_bp: int,
) -> Float32[Array, "positions classes"]:
    network = nnx.merge(graph, state)
    embedding = network.embed_changed(
        activations,
        one_hot(codes, network.dtype),
        start,
        reference_bp,
        alternate_bp,
        changed_bp=changed_bp,
        strands=strand,
    )
    return network.predict(Output.SPLICE_SITES, embedding)
