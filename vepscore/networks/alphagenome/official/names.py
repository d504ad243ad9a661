"""The name and shape that each array of the network has in an official checkpoint.

An official checkpoint is a pair of mappings, parameters and state: module path → leaf name → array, named by Haiku.
Source: google-deepmind/alphagenome_research 0.2.0, the module names in `model/`.
"""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from flax import nnx

from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output

PARAMS, STATE = 0, 1  # positions in the pair

_HEADS = {output: output.lower() for output in Output} | {
    Output.SPLICE_SITES: "splice_sites_classification",
    Output.SPLICE_SITE_USAGE: "splice_sites_usage",
    Output.SPLICE_JUNCTIONS: "splice_sites_junction",
}
# By SPLICE_CLASSES.
_TISSUE_EMBEDDINGS = ("pos_donor_logits", "pos_acceptor_logits", "neg_donor_logits", "neg_acceptor_logits")

_CONV = {"norm": "rms_batch_norm", "conv": "standardized_conv1_d"}
_BIAS = {"norm": "rms_batch_norm", "project": "linear"}
_EMBEDDER = _BIAS | {"project_coarse": "linear_1", "organism": "embed"}
_ATTENTION = {
    "norm_in": "rms_batch_norm",
    "query": "q_layer",
    "key": "k_layer",
    "value": "v_layer",
    "norm_query": "norm_q",
    "norm_key": "norm_k",
    "norm_value": "norm_v",
    "project": "linear_embedding",
    "norm_out": "rms_batch_norm_1",
}
_SEQUENCE_TO_PAIR = {
    "norm": "norm_seq2pair",
    "query": "linear_q",
    "key": "linear_k",
    "position": "linear_pos_features",
    "pair": "linear_pair",
    "row": "linear_y_q",
    "column": "linear_y_k",
}
_MLP = {"norm_in": "rms_batch_norm", "widen": "linear", "narrow": "linear_1", "norm_out": "rms_batch_norm_1"}
_ROW_ATTENTION = {"norm": "layer_norm", "query": "linear_q", "key": "linear_k", "value": "linear_v"}
_PAIR_UPDATE = "transformer_tower/pair_update_block@"

# Our block → the official block, and the layers in it. `#` is an index; `@` is an index as Haiku writes it, "" for 0.
_BLOCKS: dict[str, tuple[str, Mapping[str, str]]] = {
    "organism": ("embed", {}),
    "encoder.embedder.conv": ("sequence_encoder/dna_embedder/conv1_d", {}),
    "encoder.embedder.block": ("sequence_encoder/dna_embedder/conv_block", _CONV),
    "encoder.down.#.first": ("sequence_encoder/downres_block_#/conv_block", _CONV),
    "encoder.down.#.second": ("sequence_encoder/downres_block_#/conv_block_1", _CONV),
    "tower.pair_updates.#.from_sequence": (f"{_PAIR_UPDATE}/sequence_to_pair_block", _SEQUENCE_TO_PAIR),
    "tower.pair_updates.#.row_attention": (f"{_PAIR_UPDATE}/row_attention_block", _ROW_ATTENTION),
    "tower.pair_updates.#.mlp": (f"{_PAIR_UPDATE}/pair_mlp_block", _MLP | {"norm": "layer_norm"}),
    "tower.biases.#": ("transformer_tower/attention_bias_block@", _BIAS),
    "tower.attentions.#": ("transformer_tower/mha_block@", _ATTENTION),
    "tower.mlps.#": ("transformer_tower/mlp_block@", _MLP),
    "decoder.up.#": ("sequence_decoder/up_res_block@", {}),
    "decoder.up.#.conv_in": ("sequence_decoder/up_res_block@/conv_in", _CONV),
    "decoder.up.#.skip": (
        "sequence_decoder/up_res_block@/pointwise_conv_unet_skip",
        _CONV | {"conv": "linear"},
    ),
    "decoder.up.#.conv_out": ("sequence_decoder/up_res_block@/conv_out", _CONV),
    "embedder_128": ("output_embedder", _EMBEDDER),
    "embedder_1": ("output_embedder_1", _EMBEDDER),
    "embedder_pair": ("output_pair", _EMBEDDER | {"norm": "layer_norm"}),
}
_LEAVES = {
    "kernel": "w",
    "weight": "w",
    "bias": "b",
    "variance": "var_ema",
    "embedding": "embeddings",
    "query_bias": "q_r_bias",
    "key_bias": "k_r_bias",
}


@dataclasses.dataclass(frozen=True, slots=True)
class OfficialLeaf:
    """One array of an official checkpoint."""

    half: int  # PARAMS or STATE
    module: str  # path, "alphagenome/embed"
    name: str  # "embeddings"

    def __str__(self) -> str:
        return f"{('params', 'state')[self.half]}/{self.module}/{self.name}"


def official_leaf(path: tuple[Any, ...], variable: nnx.Variable) -> OfficialLeaf:
    """Return the place in an official checkpoint of the array at `path` of a network's flat state."""
    *modules, leaf = map(str, path)
    half = STATE if isinstance(variable, nnx.BatchStat) else PARAMS
    if modules[-1] == "tissue_embeddings":
        module = f"head/splice_sites_junction/{_TISSUE_EMBEDDINGS[int(leaf)]}"
        return OfficialLeaf(half, f"alphagenome/{module}", "embeddings")
    module = _head_module(modules) if modules[0] == "heads" else _trunk_module(modules)
    name = _LEAVES.get(leaf, leaf)
    if name == "b" and module.endswith("standardized_conv1_d"):
        name = "bias"
    return OfficialLeaf(half, f"alphagenome/{module}", name)


def official_shape(leaf: OfficialLeaf, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape in an official checkpoint of an array that has `shape` in our network."""
    if leaf.module.endswith("_logits"):
        organisms, *rest = shape
        return organisms, math.prod(rest)
    if leaf.name in ("q_r_bias", "k_r_bias"):
        return 1, 1, *shape
    batch_norm = re.search(r"rms_batch_norm(_1)?$", leaf.module)
    if batch_norm and "attention_bias_block" in leaf.module:
        return 1, 1, 1, *shape
    if batch_norm or (leaf.name == "scale" and leaf.module.endswith("standardized_conv1_d")):
        return 1, 1, *shape
    return shape


def architecture_of(shapes: Mapping[OfficialLeaf, tuple[int, ...]]) -> ModelConfig:
    """Infer the sizes of the network from the shapes in an official checkpoint.

    Raises:
        KeyError: an array that determines a size is missing.
    """

    def shape(module: str, name: str = "w") -> tuple[int, ...]:
        return shapes[OfficialLeaf(PARAMS, f"alphagenome/{module}", name)]

    channels = shape("sequence_encoder/dna_embedder/conv1_d")[-1]
    first_block = shape("sequence_encoder/downres_block_0/conv_block/standardized_conv1_d")
    to_pair = "transformer_tower/pair_update_block/sequence_to_pair_block"
    _, _, pair_heads, pair_key_channels = shape(to_pair, "q_r_bias")
    key_channels = shape("transformer_tower/mha_block/k_layer")[-1]
    heads = {output for output, name in _HEADS.items() if any(_of_head(leaf, name) for leaf in shapes)}
    junctions = (
        shape("head/splice_sites_junction/multi_organism_linear") if Output.SPLICE_JUNCTIONS in heads else ()
    )
    return ModelConfig(
        channels=channels,
        channel_step=first_block[-1] - channels,
        organisms=shape("embed", "embeddings")[0],
        tower_layers=sum(leaf.module.endswith("/q_layer") for leaf in shapes),
        attention_heads=shape("transformer_tower/mha_block/q_layer")[-1] // key_channels,
        key_channels=key_channels,
        value_channels=shape("transformer_tower/mha_block/v_layer")[-1],
        pair_channels=shape(f"{to_pair}/linear_pair")[-1],
        pair_heads=pair_heads,
        pair_key_channels=pair_key_channels,
        position_features=shape(f"{to_pair}/linear_pos_features")[0] // 2,
        junction_channels=junctions[-1] if junctions else ModelConfig.junction_channels,
        heads={output: _head_channels(output, shape) for output in Output if output in heads},
    )


def expected_leaves(network: AlphaGenome) -> dict[OfficialLeaf, tuple[int, ...]]:
    """Return the arrays and shapes of an official checkpoint for a network that is not folded."""
    leaves = {}
    for path, variable in nnx.to_flat_state(nnx.state(network, nnx.Any(nnx.Param, nnx.BatchStat))):
        leaf = official_leaf(path, variable)
        leaves[leaf] = official_shape(leaf, variable.shape)
    return leaves


def _head_channels(output: Output, shape: Any) -> int:
    if output is Output.SPLICE_JUNCTIONS:
        channels = shape("head/splice_sites_junction/multi_organism_linear")[-1]
        return shape(f"head/splice_sites_junction/{_TISSUE_EMBEDDINGS[0]}", "embeddings")[-1] // (
            2 * channels
        )
    head = f"head/{_HEADS[output]}"
    try:
        return shape(f"{head}/multi_organism_linear")[-1]
    except KeyError:
        return shape(f"{head}/resolution_128/multi_organism_linear")[-1]


def _of_head(leaf: OfficialLeaf, name: str) -> bool:
    return leaf.module.startswith(f"alphagenome/head/{name}/")


def _head_module(modules: list[str]) -> str:
    """Translate heads, ATAC, resolutions, 1, linear to head/atac/resolution_1/multi_organism_linear."""
    _, output, *rest = modules
    rest = [{"linear": "multi_organism_linear"}.get(name, name) for name in rest]
    return "/".join(["head", _HEADS[Output(output)], *rest]).replace("resolutions/", "resolution_")


def _trunk_module(modules: list[str]) -> str:
    index = next((name for name in modules if name.isdigit()), "")
    pattern = ["#" if name.isdigit() else name for name in modules]
    if ".".join(pattern) in _BLOCKS:
        module, _ = _BLOCKS[".".join(pattern)]
    else:
        block, layers = _BLOCKS[".".join(pattern[:-1])]
        module = f"{block}/{layers[pattern[-1]]}"
    return module.replace("#", index).replace("@", "" if index in ("", "0") else f"_{index}")
