"""Networks of the Enformer family with the parameters of `enformer_reference`, imported."""

from collections.abc import Mapping
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.networks.enformer.enformer_reference import parameter
from vepscore.networks.enformer.family import FAMILY
from vepscore.networks.enformer.network import Enformer
from vepscore.networks.state_dict_family import ImportedNetwork
from vepscore.networks.targets import Targets
from vepscore.outputs import Output

# What the `config.json` beside the weights says.
TINY_SETTINGS = {"window_bins": 12, "target_length": 8}
SMALL_SETTINGS = {"target_length": 1472}
# The columns of the heads of both networks.
DESCRIPTIONS = {
    "human": ["DNASE:K562", "CAGE:brain, adult", "CHIP:CTCF:K562", "DNASE:liver", "CHIP:H3K4me3:K562"],
    "mouse": ["CAGE:spleen, adult", "CAGE:heart", "ATAC:C57BL/6 liver"],
}


def write_targets(path: Path, descriptions: list[str]) -> Path:
    """Write a table of targets with the published columns that are used, and one more."""
    lines = [f"{column}\tENCFF{column}\t{text}\n" for column, text in enumerate(descriptions)]
    path.write_text("index\tidentifier\tdescription\n" + "".join(lines))
    return path


def make_targets(folder: Path, descriptions: Mapping[str, list[str]] = DESCRIPTIONS) -> dict[str, Targets]:
    """Return the targets of each organism."""
    return FAMILY.read_tables(
        {
            organism: write_targets(folder / f"targets_{organism}.txt", texts)
            for organism, texts in descriptions.items()
        }
    )


def make_state(
    *,
    stem: int,
    tower: list[int],
    layers: int,
    heads: int,
    key: int,
    features: int,
    columns: Mapping[str, int],
) -> dict[str, np.ndarray]:
    """Return the state dict of a network with these sizes, as `enformer_reference` fills it."""
    trunk = tower[-1]
    shapes = {"stem.0.weight": (stem, 4, 15), "stem.0.bias": (stem,)} | _pooling("stem", stem)
    for block, (before, after) in enumerate(zip([stem, *tower], tower, strict=False)):
        shapes |= _conv_block(f"conv_tower.{block}.0", before, after, 5)
        shapes |= _pooling(f"conv_tower.{block}", after)
    for layer in range(layers):
        shapes |= _transformer_layer(f"transformer.{layer}", trunk, heads, key, features)
    shapes |= _conv_block("final_pointwise.1", trunk, 2 * trunk, 1)
    for organism, count in columns.items():
        shapes |= _linear(f"_heads.{organism}.0", 2 * trunk, count)
    return {name: parameter(name, shape) for name, shape in shapes.items()}


def tiny_state() -> dict[str, np.ndarray]:
    """Return the state dict of a network with bins of 16 bp, whose window may have any number of them."""
    return make_state(
        stem=24, tower=[24, 32, 48], layers=2, heads=2, key=6, features=24, columns={"human": 5, "mouse": 3}
    )


def small_state() -> dict[str, np.ndarray]:
    """Return the state dict of the case "small" of `enformer_reference`."""
    return make_state(
        stem=192, tower=[192, 384], layers=2, heads=2, key=8, features=192, columns={"human": 5, "mouse": 3}
    )


def create_network(imported: ImportedNetwork) -> Enformer:
    """Return the network with its arrays."""
    network = nnx.eval_shape(lambda: Enformer(imported.architecture, rngs=nnx.Rngs(0)))
    filled = [
        (path, leaf.replace(jnp.asarray(imported.arrays[".".join(map(str, path))])))
        for path, leaf in nnx.to_flat_state(nnx.state(network, nnx.Param))
    ]
    nnx.update(network, nnx.from_flat_state(filled))
    return network


def published_columns(targets: Targets, predictions: Mapping[Output, np.ndarray]) -> np.ndarray:
    """Return predictions in the order of the columns of the published head."""
    some = next(iter(predictions.values()))
    found = np.full((*some.shape[:-1], len(targets.rows)), np.nan, np.float32)
    for output, columns in targets.columns.items():
        found[..., columns] = predictions[output][..., : len(columns)]
    return found


def _conv_block(name: str, before: int, after: int, width: int) -> dict[str, tuple[int, ...]]:
    norm = {f"{name}.0.{part}": (before,) for part in ("weight", "bias", "running_mean", "running_var")}
    return norm | {f"{name}.2.weight": (after, before, width), f"{name}.2.bias": (after,)}


def _pooling(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    block = _conv_block(f"{name}.1.fn", channels, channels, 1)
    return block | {f"{name}.2.to_attn_logits.weight": (channels, channels, 1, 1)}


def _linear(name: str, before: int, after: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (after, before), f"{name}.bias": (after,)}


def _transformer_layer(
    name: str, channels: int, heads: int, key: int, features: int
) -> dict[str, tuple[int, ...]]:
    attention, mlp = f"{name}.0.fn", f"{name}.1.fn"
    shapes: dict[str, tuple[int, ...]] = {
        f"{norm}.0.{part}": (channels,) for norm in (attention, mlp) for part in ("weight", "bias")
    }
    shapes |= {f"{attention}.1.{part}.weight": (heads * key, channels) for part in ("to_q", "to_k")}
    shapes |= {f"{attention}.1.{part}": (1, heads, 1, key) for part in ("rel_content_bias", "rel_pos_bias")}
    shapes |= {
        f"{attention}.1.to_v.weight": (channels, channels),
        f"{attention}.1.to_rel_k.weight": (heads * key, features),
    }
    shapes |= _linear(f"{attention}.1.to_out", channels, channels)
    return shapes | _linear(f"{mlp}.1", channels, 2 * channels) | _linear(f"{mlp}.4", 2 * channels, channels)
