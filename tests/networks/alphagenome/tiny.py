"""A network of a few thousand parameters, with every kind of layer and head, and tracks for it."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.outputs import Output, Tracks

Module = TypeVar("Module", bound=nnx.Module)
Normal = Callable[..., jax.Array]  # shape to float32 of that shape

WINDOW_BP = 16_384
CONFIG = ModelConfig(
    channels=8,
    channel_step=8,
    tower_layers=2,
    attention_heads=2,
    key_channels=8,
    value_channels=12,
    pair_channels=8,
    pair_heads=2,
    pair_key_channels=4,
    position_features=4,
    junction_channels=8,
    max_splice_sites=16,
    heads={
        Output.ATAC: 4,
        Output.PROCAP: 2,
        Output.RNA_SEQ: 6,
        Output.CHIP_TF: 3,
        Output.CONTACT_MAPS: 2,
        Output.SPLICE_SITES: 5,
        Output.SPLICE_SITE_USAGE: 4,
        Output.SPLICE_JUNCTIONS: 3,
    },
)


def tiny_network(seed: int = 0) -> AlphaGenome:
    """Return a network of CONFIG with random arrays."""
    return create_random(lambda: AlphaGenome(CONFIG, rngs=nnx.Rngs(0)), seed)


def create_random(create: Callable[[], Module], seed: int = 0) -> Module:
    """Return the module that `create` describes, with every array random, so that no zero bias hides a mistake.

    Nothing is compiled: the initializers of Flax would be, one for each shape.
    """
    module = nnx.eval_shape(create)
    rng = np.random.default_rng(seed)
    arrays = [
        (path, leaf.replace(jnp.asarray(_random(path, leaf.shape, rng))))
        for path, leaf in nnx.to_flat_state(nnx.state(module))
    ]
    nnx.update(module, nnx.from_flat_state(arrays))
    return module


def _random(path: tuple[Any, ...], shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw values of a size that keeps activations near one."""
    noise = rng.standard_normal(shape, np.float32)
    match path[-1]:
        case "kernel" | "weight":
            fan_in = shape[1] if path[-1] == "weight" else math.prod(shape[:-1])
            return noise / np.float32(math.sqrt(fan_in))
        case "variance" | "means":
            return np.exp(0.3 * noise)
        case "scale" | "residual_scale":
            return (1 + 0.1 * noise) * np.float32(0.25 if {"conv", "norm_out"} & {*path[-2:-1]} else 1)
        case _:
            return 0.3 * noise


def tiny_tracks(*, organism: str = "human") -> dict[Output, Tracks]:
    """Return human tracks, or fewer mouse tracks, with none for PROCAP; the last channel is padding."""
    tracks = {output: _tracks(output, channels - 1) for output, channels in CONFIG.heads.items()}
    if organism == "mouse":
        del tracks[Output.PROCAP]
    return tracks


def _tracks(output: Output, count: int) -> Tracks:
    def text(prefix: str) -> np.ndarray:
        return np.array([f"{prefix} {i}" for i in range(count)], object)

    return Tracks(
        output=output,
        name=text(f"{output} track"),
        strand=np.array([("+", "-", ".")[i % 3] for i in range(count)], object),
        ontology_curie=text("UBERON:"),
        biosample_name=np.array(["", *text("tissue")[1:]], object),
        assay=text("assay"),
        nonzero_mean=np.linspace(0.5, 2, count, dtype=np.float32),
        channel=np.arange(count, dtype=np.int32),
    )


def random_codes(seed: int = 0, width_bp: int = WINDOW_BP) -> np.ndarray:
    """Return uint8 codes (S,) of A C G T, with N at both ends."""
    codes = np.random.default_rng(seed).integers(0, 4, width_bp, np.uint8)
    codes[:100] = codes[-50:] = 4
    return codes


def embed(
    network: AlphaGenome, codes: np.ndarray, *, beside: np.ndarray | None = None, organism: int = 0
) -> Embeddings:
    """Return the embeddings of one window's codes (S,), jitted, as a batch of one.

    It runs in a batch of two, before `beside`, so that all tests share the few compilations.
    """
    windows = np.stack([codes, codes if beside is None else beside])
    kernel = network.encoder.embedder.block.conv
    graph, state = nnx.split(network)
    key = (str(kernel.kernel.dtype), kernel.folded, *network.heads)
    if key not in _COMPILED:

        def run(state: nnx.State, codes: jax.Array, organism: jax.Array) -> Embeddings:
            dna = one_hot(codes, jnp.dtype(key[0]))
            return nnx.merge(graph, state)(dna, organism, rotary_dtype=jnp.float32)

        _COMPILED[key] = jax.jit(run)
    embedded = _COMPILED[key](state, jnp.asarray(windows), jnp.int32(organism))
    return jax.tree.map(lambda x: x[:1], embedded)


_COMPILED: dict[tuple[Any, ...], Any] = {}
