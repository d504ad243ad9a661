"""The official parameters in our network: where each of our arrays stands in an official checkpoint.

An official checkpoint maps module path → leaf name → array; `parity/param_tree.tsv` lists all of them.
"""

import gzip
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.paths import need
from vepscore.model.config import ModelConfig
from vepscore.model.heads import TrackHead, TrackMean
from vepscore.model.layers import fold_convolutions
from vepscore.model.network import AlphaGenome
from vepscore.outputs import SPLICE_CLASSES, Output

HEADS = {output: output.lower() for output in Output} | {
    Output.SPLICE_SITES: "splice_sites_classification",
    Output.SPLICE_SITE_USAGE: "splice_sites_usage",
    Output.SPLICE_JUNCTIONS: "splice_sites_junction",
}
_JUNCTION_EMBEDDINGS = ("pos_donor_logits", "pos_acceptor_logits", "neg_donor_logits", "neg_acceptor_logits")
_METADATA = "parity/OutputMetadataResponse_ORGANISM_{}.textproto.gz"

_CONV = {"norm": "rms_batch_norm", "conv": "standardized_conv1_d"}
_EMBEDDER = {
    "project": "linear",
    "project_coarse": "linear_1",
    "norm": "rms_batch_norm",
    "organism": "embed",
}
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

# Our block → the official one, and the layers inside. `#` is an index; `@` the index as Haiku writes it, "" for 0.
_BLOCKS: dict[str, tuple[str, Mapping[str, str]]] = {
    "organism": ("embed", {}),
    "encoder.embedder.conv": ("sequence_encoder/dna_embedder/conv1_d", {}),
    "encoder.embedder.block": ("sequence_encoder/dna_embedder/conv_block", _CONV),
    "encoder.down.#.first": ("sequence_encoder/downres_block_#/conv_block", _CONV),
    "encoder.down.#.second": ("sequence_encoder/downres_block_#/conv_block_1", _CONV),
    "tower.pair_updates.#.from_sequence": (
        "transformer_tower/pair_update_block@/sequence_to_pair_block",
        _SEQUENCE_TO_PAIR,
    ),
    "tower.pair_updates.#.row_attention": (
        "transformer_tower/pair_update_block@/row_attention_block",
        _ROW_ATTENTION,
    ),
    "tower.pair_updates.#.mlp": (
        "transformer_tower/pair_update_block@/pair_mlp_block",
        _MLP | {"norm": "layer_norm"},
    ),
    "tower.biases.#": (
        "transformer_tower/attention_bias_block@",
        {"norm": "rms_batch_norm", "project": "linear"},
    ),
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


def official_name(path: tuple[Any, ...]) -> tuple[str, str]:
    """The module path and leaf name of the array at `path` of the network's flat state."""
    *modules, leaf = map(str, path)
    if modules[-1] == "tissue_embeddings":
        return f"alphagenome/head/splice_sites_junction/{_JUNCTION_EMBEDDINGS[int(leaf)]}", "embeddings"
    module = _head_module(modules) if modules[0] == "heads" else _trunk_module(modules)
    name = _LEAVES.get(leaf, leaf)
    if name == "b" and module.endswith("standardized_conv1_d"):
        name = "bias"
    return f"alphagenome/{module}", name


def _head_module(modules: list[str]) -> str:
    """heads, ATAC, resolutions, 1, linear → head/atac/resolution_1/multi_organism_linear."""
    _, output, *rest = modules
    rest = [{"linear": "multi_organism_linear"}.get(name, name) for name in rest]
    return "/".join(["head", HEADS[Output(output)], *rest]).replace("resolutions/", "resolution_")


def _trunk_module(modules: list[str]) -> str:
    index = next((name for name in modules if name.isdigit()), "")
    pattern = ["#" if name.isdigit() else name for name in modules]
    if ".".join(pattern) in _BLOCKS:
        module, _ = _BLOCKS[".".join(pattern)]
    else:
        block, layers = _BLOCKS[".".join(pattern[:-1])]
        module = f"{block}/{layers[pattern[-1]]}"
    return module.replace("#", index).replace("@", "" if index in ("", "0") else f"_{index}")


def official_network() -> AlphaGenome:
    """The full-size network, folded, with the deterministic parameters and the official track means."""
    params, state = load_parity_module().tree()
    network = nnx.eval_shape(lambda: AlphaGenome(ModelConfig.alphagenome(), rngs=nnx.Rngs(0)))
    fill(network, params, state)
    means = [read_track_means(need(_METADATA.format(name))) for name in ("HOMO_SAPIENS", "MUS_MUSCULUS")]
    for name, head in network.heads.items():
        if isinstance(head, TrackHead):
            head.means = TrackMean(jnp.stack([of_organism[Output(name)] for of_organism in means]))
    fold_convolutions(network)
    return network


def fill(network: AlphaGenome, params: dict[str, dict], state: dict[str, dict]) -> None:
    """Moves every array out of `params` and `state`, which end up empty, into the abstract `network`."""
    filled = []
    for path, leaf in nnx.to_flat_state(nnx.state(network, nnx.Any(nnx.Param, nnx.BatchStat))):
        module, name = official_name(path)
        array = (state if isinstance(leaf, nnx.BatchStat) else params)[module].pop(name)
        assert array.size == np.prod(leaf.shape, dtype=int), (path, array.shape, leaf.shape)
        filled.append((path, leaf.replace(jnp.array(array.reshape(leaf.shape)))))
    assert not any(params.values()) and not any(state.values())
    nnx.update(network, nnx.from_flat_state(filled))


def read_track_means(path: Path) -> dict[Output, np.ndarray]:
    """float32 means per channel: NaN for padding, 1 for every channel of an output that has no means."""
    blocks = re.split(r"^output_metadata \{", gzip.decompress(path.read_bytes()).decode(), flags=re.MULTILINE)
    return dict(_means_of_output(block) for block in blocks[1:])


def _means_of_output(block: str) -> tuple[Output, np.ndarray]:
    output = Output(re.search(r"output_type: OUTPUT_TYPE_(\w+)", block)[1])
    found = [re.search(r"nonzero_mean: (\S+)", track) for track in block.split("metadata {")[1:]]
    means = np.array([match[1] if match else "nan" for match in found], np.float32)
    return output, np.ones_like(means) if np.isnan(means).all() else means


def load_parity_module() -> Any:
    """`params.py` of the parity data."""
    spec = importlib.util.spec_from_file_location("parity_params", need("parity/params.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


assert len(_JUNCTION_EMBEDDINGS) == len(SPLICE_CLASSES)
