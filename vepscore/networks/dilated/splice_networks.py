"""The networks of the SpliceAI and Pangolin families: both strands of a window, from one trunk each.

Source: see `vepscore.networks.dilated.dilated_config`.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int

from vepscore.contract import WindowScorer
from vepscore.model.network import Network, OrganismIndex
from vepscore.networks.dilated.cispliceai_deltas import CISpliceAIDeltas
from vepscore.networks.dilated.dilated_config import STRANDS, DilatedConfig, PangolinConfig, SpliceAIConfig
from vepscore.networks.dilated.dilated_trunk import DilatedTrunk, Pointwise
from vepscore.networks.dilated.pangolin_deltas import PangolinDeltas
from vepscore.networks.dilated.spliceai_deltas import SpliceAIDeltas
from vepscore.outputs import Output

_ACCEPTOR, _DONOR = 1, 2  # classes of a SpliceAI network; 0 is no site


class DilatedNetwork(Network):
    """An ensemble that reads a window of genomic sequence, A C G T of the plus strand.

    An embedding has the channels of each network on each of the strands that were embedded. Its positions are those of
    the plus strand, for either strand.
    """

    config: Any
    classes: int  # outputs of each network's head

    def __init__(self, config: DilatedConfig, *, rngs: nnx.Rngs) -> None:
        self.config = config
        self.margin_bp = self.reach_bp = config.margin_bp
        self.trunk = DilatedTrunk(config, rngs=rngs)
        self.head = Pointwise(config.networks, config.channels, self.classes, rngs=rngs)
        self.tracks: tuple[int, ...] | None = None  # the tracks that are predicted, in order; None: all

    @property
    def dtype(self) -> jnp.dtype:
        """Return the dtype of the parameters."""
        return self.head.kernel.dtype

    @property
    def device(self) -> jax.Device:
        """Return a device that has the parameters."""
        return next(iter(self.head.kernel.devices()))

    def embed(
        self, dna: Float[Array, "batch bp 4"], organism: OrganismIndex = 0, *, strands: str = STRANDS
    ) -> Float[Array, "batch predicted channels"]:
        """Embed windows, or stretches of one, with a margin at either end that is not predicted.

        Args:
            dna: one-hot, in the dtype of the parameters; N is four zeros.
            organism: ignored.
            strands: "+-", or the one strand that is read, with half the channels.
        """
        del organism
        x = self.trunk.embed(_orient(dna, strands).reshape(-1, *dna.shape[1:]))
        return _join(x.reshape(len(x), len(strands), -1, *x.shape[2:]), strands)

    def predict(
        self, output: Output, x: Float[Array, "*batch channels"], organism: OrganismIndex = 0
    ) -> Float32[Array, "*batch tracks"]:
        """Return the predictions of the family's output from embeddings: the tracks of each embedded strand."""
        del organism
        assert output in self.config.heads
        tracks = self._average(self._logits(x))
        tracks = tracks.reshape(*tracks.shape[:-2], -1)
        return tracks if self.tracks is None else tracks[..., np.asarray(self.tracks)]

    def strand_values(self, x: Float[Array, "positions channels"]) -> Float32[Array, "positions values"]:
        """Return what the published program compares between alleles, from the embedding of one strand."""
        return self._average(self._logits(x))[:, 0]

    def with_tracks(self, channels: Mapping[Output, Int[np.ndarray, " tracks"]]) -> "DilatedNetwork":
        """Return a copy that predicts only these tracks, in this order; it shares all arrays."""
        network = nnx.merge(*nnx.split(self))
        for tracks in channels.values():  # of its one output, or none
            network.tracks = tuple(map(int, tracks))
        return network

    def _logits(
        self, x: Float[Array, "*batch channels"]
    ) -> Float32[Array, "*batch strands networks classes"]:
        """Return what the networks' heads give for each embedded strand."""
        x = x.reshape(*x.shape[:-1], -1, self.config.networks, self.config.channels)
        kernel, bias = self.head.kernel[...], self.head.bias[...]
        logits = jnp.einsum("...snc,nck->...snk", x, kernel, preferred_element_type=jnp.float32) + bias
        return logits.astype(jnp.float32)

    def _average(
        self, logits: Float32[Array, "*batch strands networks classes"]
    ) -> Float32[Array, "*batch strands tracks"]:
        """Return the averages of the networks' predictions, for each strand."""
        raise NotImplementedError


class SpliceAI(DilatedNetwork):
    """An ensemble that classifies positions of transcribed sequence: no site, acceptor, donor.

    Predicts SPLICE_SITES, in the order of `vepscore.outputs.SPLICE_CLASSES`. Probabilities are averaged, as the
    published tools do, not logits.
    """

    config: SpliceAIConfig
    classes = 3

    def own_scorers(self) -> Sequence[WindowScorer]:
        """Return the delta scores of the published program, for networks that have one."""
        programs = {"spliceai": SpliceAIDeltas, "cispliceai": CISpliceAIDeltas}
        program = self.config.program
        return [] if program is None else [programs[program](self, self.delta_rules)]

    def members(self) -> Sequence["SpliceAI"]:
        """Return each network of the ensemble as an ensemble of one."""
        return [self._member(number) for number in range(self.config.replicates)]

    def _member(self, number: int) -> "SpliceAI":
        graph, state = nnx.split(self)
        member = nnx.merge(graph, jax.tree.map(lambda leaf: leaf[number : number + 1], state))
        member.config = member.trunk.config = dataclasses.replace(self.config, replicates=1)
        return member

    def _average(
        self, logits: Float32[Array, "*batch strands networks classes"]
    ) -> Float32[Array, "*batch strands tracks"]:
        probabilities = jax.nn.softmax(logits, axis=-1).mean(axis=-2)
        return jnp.stack([probabilities[..., _DONOR], probabilities[..., _ACCEPTOR]], axis=-1)


class Pangolin(DilatedNetwork):
    """An ensemble that predicts splice sites by tissue, without telling donors from acceptors.

    Predicts SPLICE_SITE_USAGE, which does not tell them apart either: the order of tracks is strand, quantity (splice
    site, usage), tissue. The published head of a splice site is a softmax over two classes; stored is the difference of
    their weights, whose sigmoid is the second class.
    """

    config: PangolinConfig
    classes = 1

    def own_scorers(self) -> Sequence[WindowScorer]:
        """Return the delta scores of Pangolin's program."""
        return [PangolinDeltas(self, self.delta_rules)]

    def strand_values(self, x: Float[Array, "positions channels"]) -> Float32[Array, "positions values"]:
        """Return the probability of a splice site that each network predicts; the program compares them one by one."""
        of_sites = self.config.tissues * self.config.replicates
        return jax.nn.sigmoid(self._logits(x)[:, 0, :of_sites, 0])

    def _average(
        self, logits: Float32[Array, "*batch strands networks classes"]
    ) -> Float32[Array, "*batch strands tracks"]:
        probabilities = jax.nn.sigmoid(logits[..., 0])
        return probabilities.reshape(*probabilities.shape[:-1], -1, self.config.replicates).mean(axis=-1)


def _orient(dna: Float[Array, "*batch bp 4"], strands: str) -> Float[Array, "strands *batch bp 4"]:
    """Return sequence of the plus strand as that of each strand."""
    return jnp.stack([dna if strand == "+" else dna[..., ::-1, ::-1] for strand in strands])


def _join(
    x: Float[Array, "networks strands *batch positions channels"], strands: str
) -> Float[Array, "*batch positions all_channels"]:
    """Return the embeddings of all strands and networks side by side, in the order of the plus strand's positions."""
    turned = [x[:, i] if strand == "+" else x[:, i, ..., ::-1, :] for i, strand in enumerate(strands)]
    x = jnp.moveaxis(jnp.stack(turned), (0, 1), (-3, -2))
    return x.reshape(*x.shape[:-3], -1)
