"""The heads: organism-specific linear layers on the embeddings, and the functions that turn them into predictions.

Heads are pointwise, so the engine evaluates them only at the positions that scorers read. Tracks include padding.

Source: google-deepmind/alphagenome_research 0.2.0, `model/heads.py`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float, Float32, Int, Int32

from vepscore.networks.alphagenome.config import TRACK_RESOLUTIONS_BP, ModelConfig
from vepscore.networks.alphagenome.layers import (
    OrganismIndex,
    OrganismLinear,
    OrganismParam,
    einsum_bfloat16,
    rotate,
)
from vepscore.outputs import MAX_WINDOW_BP, SPLICE_CLASSES, Output

SOFT_CLIP = 10.0
RNA_SQUASH = 0.75


class TrackMean(nnx.Variable):
    """Mean of each track over its non-zero bins, from the track table of the checkpoint; not a parameter."""


class TrackResolution(nnx.Module):
    """Predicts tracks at one resolution, non-negative, in the space in which the head is trained."""

    def __init__(self, config: ModelConfig, in_channels: int, tracks: int, *, rngs: nnx.Rngs) -> None:
        self.linear = OrganismLinear(config.organisms, in_channels, tracks, rngs=rngs)
        self.learnt_scale = OrganismParam(jnp.ones((config.organisms, tracks)))

    def keep(self, channels: Int[np.ndarray, " tracks"]) -> None:
        """Keep only these tracks, in this order."""
        keep_channels(self.linear, channels)
        self.learnt_scale.set_value(self.learnt_scale[:, channels])

    def __call__(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        scale = self.learnt_scale[organism].astype(jnp.float32)
        return jax.nn.softplus(self.linear(x, organism)) * jax.nn.softplus(scale)


class TrackHead(nnx.Module):
    """Coverage tracks: ATAC, DNASE, PROCAP, CAGE, RNA_SEQ, CHIP_TF, CHIP_HISTONE."""

    def __init__(self, config: ModelConfig, output: Output, *, rngs: nnx.Rngs) -> None:
        tracks = config.heads[output]
        in_channels = {1: 2 * config.channels, 128: 2 * config.trunk_channels}
        self.resolutions = nnx.Dict(
            {
                str(bp): TrackResolution(config, in_channels[bp], tracks, rngs=rngs)
                for bp in TRACK_RESOLUTIONS_BP[output]
            }
        )
        self.means = TrackMean(jnp.ones((config.organisms, tracks)))
        self.squash = RNA_SQUASH if output is Output.RNA_SEQ else 1.0

    def keep(self, channels: Int[np.ndarray, " tracks"]) -> None:
        """Keep only these tracks, in this order."""
        for resolution in self.resolutions.values():
            resolution.keep(channels)
        self.means.set_value(self.means[:, channels])

    def scaled(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex, *, resolution_bp: int
    ) -> Float32[Array, "*batch tracks"]:
        """Predict in the space in which the head is trained."""
        return self.resolutions[str(resolution_bp)](x, organism)

    def unscale(
        self, scaled: Float[Array, "*batch tracks"], organism: OrganismIndex, *, resolution_bp: int
    ) -> Float[Array, "*batch tracks"]:
        """Convert from the training space to coverage: undo clipping and squashing, multiply by mean and bin width."""
        clipped = (scaled + SOFT_CLIP) ** 2 / (4 * SOFT_CLIP)
        x = jnp.where(scaled > SOFT_CLIP, clipped, scaled)
        if self.squash != 1.0:
            x = jnp.power(x, 1.0 / self.squash)
        return x * (self.means[organism] * resolution_bp)

    def __call__(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex, *, resolution_bp: int
    ) -> Float32[Array, "*batch tracks"]:
        """Predict coverage."""
        scaled = self.scaled(x, organism, resolution_bp=resolution_bp)
        return self.unscale(scaled, organism, resolution_bp=resolution_bp)


class LinearHead(nnx.Module):
    """Predicts contact maps, splice sites or their usage."""

    def __init__(self, config: ModelConfig, output: Output, *, rngs: nnx.Rngs) -> None:
        in_channels = config.pair_channels if output is Output.CONTACT_MAPS else 2 * config.channels
        self.linear = OrganismLinear(config.organisms, in_channels, config.heads[output], rngs=rngs)
        self.output = output
        self.classes: tuple[int, ...] | None = None  # of SPLICE_SITES: the classes to return; None: all

    def keep(self, channels: Int[np.ndarray, " tracks"]) -> None:
        """Keep only these tracks, in this order."""
        if self.output is Output.SPLICE_SITES:
            self.classes = tuple(map(int, channels))
        else:
            keep_channels(self.linear, channels)

    def __call__(
        self, x: Float[Array, "*batch channels"], organism: OrganismIndex
    ) -> Float32[Array, "*batch tracks"]:
        """Predict contacts, class probabilities, or usage rounded to float16."""
        logits = self.linear(x, organism)
        if self.output is Output.SPLICE_SITES:
            probabilities = jax.nn.softmax(logits, axis=-1)
            return probabilities if self.classes is None else probabilities[..., jnp.array(self.classes)]
        if self.output is Output.SPLICE_SITE_USAGE:
            return jax.lax.reduce_precision(jax.nn.sigmoid(logits), exponent_bits=5, mantissa_bits=10)
        return logits


class JunctionHead(nnx.Module):
    """Predicts counts of junctions between given donors and acceptors, per tissue and strand."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs) -> None:
        self.tissues = config.heads[Output.SPLICE_JUNCTIONS]
        shape = (config.organisms, 2, self.tissues, config.junction_channels)
        self.linear = OrganismLinear(
            config.organisms, 2 * config.channels, config.junction_channels, rngs=rngs
        )
        # Scale and offset of each tissue, by class of site.
        self.tissue_embeddings = nnx.List(
            OrganismParam(0.1 * jax.random.truncated_normal(rngs.params(), -2.0, 2.0, shape))
            for _ in SPLICE_CLASSES
        )

    def keep(self, channels: Int[np.ndarray, " tissues"]) -> None:
        """Keep only these tissues, in this order."""
        self.tissues = len(channels)
        for embedding in self.tissue_embeddings:
            embedding.set_value(embedding[:, :, channels])

    def __call__(
        self, x: Float[Array, "4 sites channels"], sites: Int32[Array, "4 sites"], organism: OrganismIndex
    ) -> Float32[Array, "sites sites 2 tissues"]:
        """Predict the counts of all junctions between the sites.

        Args:
            x: the 1 bp embeddings at the sites, by SPLICE_CLASSES.
            sites: bp from the window's start, by SPLICE_CLASSES, padded with -1.
            organism: 0 human, 1 mouse.

        Returns:
            Counts by donor, acceptor, strand and tissue; 0 for padding.
        """
        hidden = self.linear(x, organism)
        tables = [table[organism] for table in self.tissue_embeddings]
        strands = [
            count_between((hidden[i], hidden[j]), (sites[i], sites[j]), (tables[i], tables[j]))
            for i, j in ((0, 1), (2, 3))
        ]
        return jnp.stack(strands, axis=2)


def count_between(
    hidden: tuple[Float32[Array, "sites channels"], Float32[Array, "sites channels"]],
    positions: tuple[Int32[Array, " sites"], Int32[Array, " sites"]],
    tables: tuple[Float[Array, "2 tissues channels"], Float[Array, "2 tissues channels"]],
) -> Float32[Array, "sites sites tissues"]:
    """Predict the counts of junctions of one strand; each argument is that of its donors and its acceptors.

    Args:
        hidden: the embeddings of the sites.
        positions: of the sites, padded with -1; only their distances matter.
        tables: scale and offset of the embeddings, by tissue.

    Returns:
        Counts by donor, acceptor and tissue; 0 for padding.
    """
    donors, acceptors = (of_class >= 0 for of_class in positions)

    def count() -> Float32[Array, "sites sites tissues"]:
        # One tissue at a time, because the embeddings of all tissues would fill gigabytes.
        by_tissue = tuple(table.astype(jnp.float32).swapaxes(0, 1) for table in tables)
        products = jax.lax.map(lambda tissue: _multiply(hidden, positions, tissue), by_tissue)
        real = donors[:, None] & acceptors
        return jnp.where(real[..., None], jax.nn.softplus(jnp.moveaxis(products, 0, 2)), 0.0)

    shape = (len(donors), len(acceptors), tables[0].shape[1])
    return jax.lax.cond(donors.any() & acceptors.any(), count, lambda: jnp.zeros(shape))


def _multiply(
    hidden: tuple[Array, Array], positions: tuple[Array, Array], tissue: tuple[Array, Array]
) -> Float32[Array, "sites sites"]:
    """Return the products of the embeddings of donors and acceptors in one tissue."""
    embedded = [_embed_sites(*each) for each in zip(hidden, positions, tissue, strict=True)]
    return einsum_bfloat16("dc,ac->da", *embedded)


def _embed_sites(
    hidden: Float32[Array, "sites channels"],
    positions: Int32[Array, " sites"],
    table: Float32[Array, "2 channels"],
) -> Float32[Array, "sites channels"]:
    """Scale the embeddings for one tissue and rotate them by position."""
    x = table[0] * hidden + table[1]
    return rotate(x[:, None], positions, max_position=MAX_WINDOW_BP, table_dtype=jnp.float32)[:, 0]


Head = TrackHead | LinearHead | JunctionHead


def keep_channels(linear: OrganismLinear, channels: Int[np.ndarray, " channels"]) -> None:
    """Keep only these outputs of a layer."""
    linear.weight.set_value(linear.weight[:, :, channels])
    linear.bias.set_value(linear.bias[:, channels])


def create_head(config: ModelConfig, output: Output, *, rngs: nnx.Rngs) -> Head:
    """Return the head of `output`, sized by `config.heads`."""
    if output in TRACK_RESOLUTIONS_BP:
        return TrackHead(config, output, rngs=rngs)
    if output is Output.SPLICE_JUNCTIONS:
        return JunctionHead(config, rngs=rngs)
    return LinearHead(config, output, rngs=rngs)
