"""The trunk of an ensemble of dilated residual networks, on transcribed sequence, computed only where it is read.

    one-hot → width 1 ─┬─ block ×4 ─┬─ block ×4 ─┬─ … ─┐
                      skip         skip         skip  skip → sum of all skips

A block adds to its input two dilated convolutions, each after a batch norm, folded to x·scale + offset, and a
rectifier. No convolution is padded, so each layer is computed where later ones read it and nowhere else. The published
networks pad with zeros and then crop as many positions as padding can reach: the same values.

An alternate allele changes a block's output within reach of the variant. There it is computed; elsewhere it is the
reference's, shifted by the length of an indel on one side of it (`DilatedTrunk.embed_changed`). What is computed has a
size that depends on the longest allele and indel that a call allows, not on those of one variant, so that nothing is
compiled again:

    reference, block b   ─────────────────────────────────────
                         │ same index  │         │ shifted   │
    alternate, block b   ──────────────█████████──────────────   █ computed
    alternate, block b+1   ─────────█████████████████───────

Parameters of all networks of the ensemble are stacked in their first axis. One network is run after the other.
Source: Jaganathan et al. 2019, Figure S1; github Kuanhao-Chao/OpenSpliceAI, `openspliceai/train_base/openspliceai.py`.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from vepscore.networks.dilated.dilated_config import BASES, BLOCKS_PER_SKIP, DilatedConfig

_Weights = Any  # the tree of arrays of one network


class Activations(NamedTuple):
    """What is kept of a reference sequence, for the alternate alleles in it."""

    blocks: tuple[Float[Array, "networks batch _ channels"], ...]  # outputs of all blocks
    embedding: Float[Array, "networks batch predicted channels"]


class Span(NamedTuple):
    """A range of positions of a size that is known when a call is compiled."""

    first: Int[Array, ""] | int
    size: int


class Change(NamedTuple):
    """What an alternate allele changes in the sequence of a reference, in positions of the alternate's sequence.

    The reference's sequence is longer by `slack` bases on either side. Before `start` the alternate has the reference's
    base `before` positions to the right, from `start` on, after the changed bases, that `after` positions to the right.
    """

    start: Int[Array, "*batch"]  # of the changed bases
    before: Int[Array, "*batch"]  # 0 to 2·slack
    after: Int[Array, "*batch"]  # 0 to 2·slack

    @classmethod
    def of_allele(
        cls,
        start: Int[Array, ""],
        reference_bp: Int[Array, ""],
        alternate_bp: Int[Array, ""],
        *,
        slack: int,
        alternate_width: int | None = None,
    ) -> "Change":
        """Describe the replacement of bases, in windows whose starts are aligned but for the slack.

        Args:
            start: first replaced base, 0-based in the alternate's sequence, which may lie outside of it.
            reference_bp: number of replaced bases.
            alternate_bp: number of bases in their place; at most `slack` more or fewer.
            slack: by how many bases the reference's sequence is longer, on either side.
            alternate_width: width of the alternate's sequence, to describe its reverse complement; None: as it is.
        """
        growth = alternate_bp - reference_bp
        if alternate_width is None:
            return cls(start, jnp.asarray(slack), slack - growth)
        return cls(alternate_width - start - alternate_bp, slack + growth, jnp.asarray(slack))


class Block(nnx.Module):
    """The parameters of a residual block, of all networks."""

    def __init__(self, networks: int, channels: int, width: int, *, rngs: nnx.Rngs) -> None:
        shape = (networks, width, channels, channels)
        for layer in "12":
            kernel = jax.random.normal(rngs.params(), shape) / jnp.sqrt(width * channels)
            setattr(self, f"scale{layer}", nnx.Param(jnp.ones((networks, channels))))
            setattr(self, f"offset{layer}", nnx.Param(jnp.zeros((networks, channels))))
            setattr(self, f"kernel{layer}", nnx.Param(kernel))
            setattr(self, f"bias{layer}", nnx.Param(jnp.zeros((networks, channels))))


class Pointwise(nnx.Module):
    """The parameters of a convolution of width 1, of all networks."""

    def __init__(self, networks: int, in_channels: int, out_channels: int, *, rngs: nnx.Rngs) -> None:
        shape = (networks, in_channels, out_channels)
        self.kernel = nnx.Param(jax.random.normal(rngs.params(), shape) / jnp.sqrt(in_channels))
        self.bias = nnx.Param(jnp.zeros((networks, out_channels)))


class DilatedTrunk(nnx.Module):
    """The trunks of all networks of an ensemble. Sequences are 5′ to 3′ of the strand that is predicted."""

    def __init__(self, config: DilatedConfig, *, rngs: nnx.Rngs) -> None:
        networks, channels = config.networks, config.channels
        self.config = config
        self.stem = Pointwise(networks, BASES, channels, rngs=rngs)
        self.blocks = nnx.List(Block(networks, channels, width, rngs=rngs) for width in config.widths)
        skips = 1 + len(config.widths) // BLOCKS_PER_SKIP
        self.skips = nnx.List(Pointwise(networks, channels, channels, rngs=rngs) for _ in range(skips))

    def embed(self, dna: Float[Array, "batch bp 4"]) -> Float[Array, "networks batch predicted channels"]:
        """Embed sequences of one length, without a margin at either end."""
        return jax.lax.map(lambda weights: self._run(weights, dna)[1], self._weights())

    def activate(self, dna: Float[Array, "batch bp 4"]) -> Activations:
        """Embed reference sequences and keep what their alternate alleles share with them."""

        def run(weights: _Weights) -> Activations:
            blocks, embedding = self._run(weights, dna)
            return Activations(tuple(blocks), embedding)

        return jax.lax.map(run, self._weights())

    def embed_changed(
        self, reference: Activations, dna: Float[Array, "batch bp 4"], change: Change, *, changed_bp: int
    ) -> Float[Array, "networks batch predicted channels"]:
        """Embed alternate alleles, computing only what differs from the reference.

        Args:
            reference: of sequences that are longer by a slack, the same on either side, which is at least by how much
                an indel makes the allele longer or shorter.
            dna: the alternates' sequences, one for each of the reference's, one-hot.
            change: what differs from the reference, for each sequence.
            changed_bp: the most bases that an alternate allele of this call has; a longer one gives wrong values.
        """

        def run(inputs: tuple[_Weights, tuple[Array, ...]]) -> Float[Array, "batch predicted channels"]:
            weights, blocks = inputs
            return jax.lax.map(
                lambda one: self._run_changed(weights, one[0], one[1], one[2], changed_bp),
                (blocks, dna, change),
            )

        return jax.lax.map(run, (self._weights(), reference.blocks))

    def _weights(self) -> _Weights:
        """Return the parameters of all networks as a tree, stacked."""
        return nnx.to_pure_dict(nnx.state(self, nnx.Param))

    def _run(
        self, weights: _Weights, dna: Float[Array, "batch bp 4"]
    ) -> tuple[list[Array], Float[Array, "batch predicted channels"]]:
        """Return the outputs of all blocks, and the embedding, of one network."""
        left = self.config.margin_bp
        x = _pointwise(weights["stem"], dna)
        blocks, skipped = [], [x[:, left : x.shape[1] - left]]
        for index, margin in enumerate(self.config.block_margins_bp):
            x = self._block(weights, index, x)
            blocks.append(x)
            left -= margin
            if (index + 1) % BLOCKS_PER_SKIP == 0:
                skipped.append(x[:, left : x.shape[1] - left])
        return blocks, self._sum_skips(weights, skipped)

    def _run_changed(
        self,
        weights: _Weights,
        reference: tuple[Float[Array, "_ channels"], ...],
        dna: Float[Array, "bp 4"],
        change: Change,
        changed_bp: int,
    ) -> Float[Array, "predicted channels"]:
        """Embed an alternate allele with one network."""
        predicted = Span(self.config.margin_bp, len(dna) - 2 * self.config.margin_bp)
        skipped = [_pointwise(weights["stem"], _slice(dna, predicted))]
        spans = self._changed_spans(len(dna), change.start, changed_bp)
        stream: _Stream | None = None
        for index, (inner, outer, lost) in enumerate(spans):
            x = stream.read(outer) if stream else _pointwise(weights["stem"], _slice(dna, outer))
            patch = self._block(weights, index, x[None])[0]
            stream = _Stream(reference=reference[index], patch=patch, span=inner, lost=lost, change=change)
            if (index + 1) % BLOCKS_PER_SKIP == 0:
                skipped.append(stream.read(predicted))
        return self._sum_skips(weights, skipped)

    def _changed_spans(
        self, width: int, start: Int[Array, ""], changed_bp: int
    ) -> Iterator[tuple[Span, Span, int]]:
        """Yield for each block where its output is computed, where its input is read for that, and its reach.

        The output is computed where the change reaches it, as far as later blocks read it. It lacks as many positions
        at either end of the sequence as it reaches.
        """
        reach = 0
        for margin in self.config.block_margins_bp:
            reach += margin
            size = min(2 * reach + changed_bp, width - 2 * reach)
            first = jnp.clip(start - reach, reach, width - reach - size)
            yield Span(first, size), Span(first - margin, size + 2 * margin), reach

    def _block(
        self, weights: _Weights, index: int, x: Float[Array, "batch positions channels"]
    ) -> Float[Array, "batch out_positions channels"]:
        block, margin = weights["blocks"][index], self.config.block_margins_bp[index]
        y = x
        for layer in "12":
            y = self._rectify(y * block[f"scale{layer}"] + block[f"offset{layer}"])
            y = convolve_dilated(y, block[f"kernel{layer}"], self.config.dilations[index])
            y = y + block[f"bias{layer}"]
        return x[:, margin : x.shape[1] - margin] + y

    def _rectify(self, x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        slope = self.config.negative_slope
        return jnp.maximum(x, slope * x) if slope else jnp.maximum(x, 0)

    def _sum_skips(
        self, weights: _Weights, skipped: list[Float[Array, "*batch channels"]]
    ) -> Float[Array, "*batch channels"]:
        terms = [_pointwise(weights["skips"][index], x) for index, x in enumerate(skipped)]
        return sum(terms[1:], terms[0])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Stream:
    """A block's output for an alternate allele: computed within a span, the reference's outside of it."""

    reference: Float[Array, "_ channels"]
    patch: Float[Array, "_ channels"]
    span: Span  # of the patch, in positions of the alternate's sequence
    lost: int  # positions at either end of a sequence that the output lacks
    change: Change

    def read(self, span: Span) -> Float[Array, "_ channels"]:
        """Return the output within a span."""
        position = span.first + jnp.arange(span.size)[:, None]
        before, after = (
            _slice(self.reference, Span(span.first + shift - self.lost, span.size))
            for shift in (self.change.before, self.change.after)
        )
        unchanged = jnp.where(position < self.change.start, before, after)
        padded = jnp.pad(self.patch, ((span.size, span.size), (0, 0)))
        patch = _slice(padded, Span(span.first - self.span.first + span.size, span.size))
        is_patched = (position >= self.span.first) & (position < self.span.first + self.span.size)
        return jnp.where(is_patched, patch, unchanged)


def convolve_dilated(
    x: Float[Array, "batch positions in_channels"],
    kernel: Float[Array, "width in_channels out_channels"],
    dilation: int,
) -> Float[Array, "batch out_positions out_channels"]:
    """Convolve along positions without padding: the output is shorter by (width - 1) · dilation positions."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(1,),
        padding="VALID",
        rhs_dilation=(dilation,),
        dimension_numbers=("NWC", "WIO", "NWC"),
    )


def _pointwise(
    weights: _Weights, x: Float[Array, "*batch in_channels"]
) -> Float[Array, "*batch out_channels"]:
    return x @ weights["kernel"] + weights["bias"]


def _slice(x: Float[Array, "positions channels"], span: Span) -> Float[Array, "_ channels"]:
    return jax.lax.dynamic_slice_in_dim(x, span.first, span.size)
