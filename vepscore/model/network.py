"""What a network provides, whatever its family, so that the engine can score with it.

A network embeds whole windows, and predicts tracks from embeddings at the bins that scorers read. Embeddings are a tree
of arrays that only the network itself understands; the first axis of each is the batch, the second are bins.
"""

import abc
import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float, Float32, Int, Int32, Integer

from vepscore.contract import Scorer, WindowScorer
from vepscore.model.allele_plan import AllelePlan
from vepscore.outputs import Output, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class DeltaRules:
    """How delta scores are made.

    Attributes:
        distance_bp: they are about positions up to so far from the variant.
        masked: leave out gains of annotated sites and losses of others.
    """

    distance_bp: int = 50
    masked: bool = False


LOADED_ORGANISM = np.int32(0)  # organism index of a loaded network, which has the rows of one organism

OrganismIndex = Int[ArrayLike, ""]  # row of the organism-specific parameters


class OrganismParam(nnx.Param):
    """A parameter whose first axis is the organism."""


class Network(nnx.Module):
    """A network of some family.

    Attributes:
        config: its architecture, a dataclass; see `vepscore.model.family.Architecture`.
        margin_bp: bases at each end of a window in which it predicts nothing.
        reach_bp: of a convolution, the bases on either side of a position that its predictions depend on, which are its
            margin: stretches of a window can then be computed alone. None if they cannot.
        rotary_dtype: dtype of the tables of rotary position embeddings, in families that have them.
        max_splice_sites: splice sites that are kept per class, between which junctions are counted.
        splice_site_threshold: probability below which a position is no such site.
        delta_rules: how its own scorers of splice events make delta scores.
        joins_windows: whether it can join the two windows of an indel; see `vepscore.genome.alignment`.
    """

    config: Any
    margin_bp: int = 0
    reach_bp: int | None = None
    rotary_dtype: str = "float32"
    max_splice_sites: int = 512
    splice_site_threshold: float = 0.1
    delta_rules: DeltaRules = DeltaRules()
    joins_windows: bool = False

    @property
    @abc.abstractmethod
    def dtype(self) -> jnp.dtype:
        """The dtype of the parameters."""

    @property
    @abc.abstractmethod
    def device(self) -> jax.Device:
        """A device that has the parameters."""

    @abc.abstractmethod
    def embed(self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex) -> Any:
        """Embed a batch of windows of one length.

        Args:
            dna: one-hot, in the dtype of the parameters; N is four zeros.
            organism: the row of organism-specific parameters.
        """

    def select(self, embeddings: Any, output: Output) -> Float[Array, "bins ..."]:
        """Return the embeddings from which `output` is predicted."""
        del output
        return embeddings

    @abc.abstractmethod
    def predict(
        self, output: Output, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Return the predictions of `output` from its embeddings; not for SPLICE_JUNCTIONS."""

    def count_junctions(
        self, x: Float[Array, "4 sites channels"], sites: Int32[Array, "4 sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Return the counts of junctions between sites, from the embeddings of SPLICE_SITES; see `Junctions`."""
        raise NotImplementedError(f"{type(self).__name__} predicts no junctions")

    @abc.abstractmethod
    def with_tracks(self, channels: Mapping[Output, Int[np.ndarray, " tracks"]]) -> "Network":
        """Return a copy whose heads have only these channels, in this order; it shares all other arrays."""

    def keep_outputs(self, outputs: Collection[Output]) -> None:
        """Drop what only other outputs need, before the arrays are read."""

    def set_track_means(self, tracks: Mapping[Output, Tracks]) -> None:
        """Set the means of the tracks, if the heads scale predictions by them."""

    def seam(self, plan: AllelePlan, *, reverse: bool) -> Any:
        """Return where an indel's two windows are joined, an array for `embed_joined`; if it joins windows."""
        raise NotImplementedError(f"{type(self).__name__} joins no windows")

    def embed_joined(self, dna: Float[Array, "2 bp 4"], seam: Any, organism: OrganismIndex) -> Any:
        """Embed an indel's two windows, joined at the seam: end to end, without a batch axis; if it joins windows."""
        raise NotImplementedError(f"{type(self).__name__} joins no windows")

    def own_scorers(self) -> Sequence[WindowScorer]:
        """Return scorers that score as the network's published program does, each in the place of that of its name."""
        return ()

    def replace_own(self, scorers: Sequence[Scorer]) -> tuple[Scorer, ...]:
        """Return the scorers, with those of `own_scorers` in the place of those of their names."""
        own = {scorer.name: scorer for scorer in self.own_scorers()}
        return tuple(own.get(scorer.name, scorer) for scorer in scorers)

    def members(self) -> Sequence["Network"]:
        """Return the networks whose predictions are averaged, if it is an ensemble; else itself."""
        return [self]

    def optimized(self) -> "Network":
        """Return the network, or a copy whose layers are faster on its device."""
        return self

    def join(self, left: Any, right: Any, plan: AllelePlan, *, reverse: bool) -> Any:
        """Return the embeddings of an indel's two windows end to end, from those of each, without a batch axis.

        Args:
            left: embeddings of the left-anchored window.
            right: embeddings of the right-anchored window.
            plan: the allele and what is read.
            reverse: the network was given the minus strand.
        """
        del plan, reverse
        return jax.tree.map(lambda *pair: jnp.concatenate(pair), left, right)


def one_hot(codes: Integer[Array | np.ndarray, "*batch bp"], dtype: DTypeLike) -> Float[Array, "*batch bp 4"]:
    """One-hot encode bases: 0 to 3 are A C G T, anything else is N, which becomes four zeros."""
    return jax.nn.one_hot(codes, 4, dtype=dtype)
