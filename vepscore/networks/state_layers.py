"""Layers of a PyTorch state dict as arrays by their names in Flax NNX.

PyTorch stores the kernel of a linear layer as out × in channels and that of a convolution as out × in × width.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float32

from vepscore.networks.state_dict import StateDict

Arrays = dict[str, np.ndarray]  # float32, in row-major order, as files store them


def within(parts: Mapping[str, Arrays]) -> Arrays:
    """Return the arrays of the parts of a module by their paths in it."""
    return {f"{part}.{name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def read_linear(source: StateDict, name: str) -> Arrays:
    """Return the kernel and the bias of `torch.nn.Linear`."""
    return {"kernel": read_kernel(source, name), "bias": source.take(f"{name}.bias", 1)}


def read_kernel(source: StateDict, name: str) -> Float32[np.ndarray, "in_channels out_channels"]:
    """Return the kernel of a linear layer."""
    return np.ascontiguousarray(source.take(f"{name}.weight", 2).T)


def read_convolution(source: StateDict, name: str) -> Arrays:
    """Return the kernel and the bias of `torch.nn.Conv1d`; the kernel of a linear layer if its width is 1."""
    kernel = source.take(f"{name}.weight", 3).transpose(2, 1, 0)
    kernel = kernel[0] if len(kernel) == 1 else kernel
    return {"kernel": np.ascontiguousarray(kernel), "bias": source.take(f"{name}.bias", 1)}


def read_layer_norm(source: StateDict, name: str) -> Arrays:
    """Return the scale and the bias of `torch.nn.LayerNorm`."""
    return {"scale": source.take(f"{name}.weight", 1), "bias": source.take(f"{name}.bias", 1)}


def read_batch_norm(source: StateDict, name: str, *, epsilon: float) -> Arrays:
    """Fold (x - mean) / √(variance + ε) · weight + bias of `torch.nn.BatchNorm1d` into x · scale + offset."""
    weight, bias, mean, variance = (
        source.take(f"{name}.{part}", 1).astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = weight / np.sqrt(variance + epsilon)
    return {"scale": scale.astype(np.float32), "offset": (bias - mean * scale).astype(np.float32)}


def infer_transformer_sizes(source: StateDict) -> dict[str, int]:
    """Return the sizes of the layers `transformer.N`, by their names in an architecture."""
    attention = "transformer.0.0.fn.1"
    _, heads, _, key_channels = source.shape(f"{attention}.rel_content_bias", 4)
    return {
        "transformer_layers": source.count("transformer"),
        "attention_heads": heads,
        "key_channels": key_channels,
        "value_channels": source.shape(f"{attention}.to_v.weight", 2)[0] // max(heads, 1),
        "position_features": source.shape(f"{attention}.to_rel_k.weight", 2)[1],
    }


def read_transformer_layer(source: StateDict, name: str) -> Arrays:
    """Return the arrays of a `vepscore.networks.relative_attention.TransformerLayer`."""
    return within(
        {
            "attention_norm": read_layer_norm(source, f"{name}.0.fn.0"),
            "attention": _read_attention(source, f"{name}.0.fn.1"),
            "mlp_norm": read_layer_norm(source, f"{name}.1.fn.0"),
            "expand": read_linear(source, f"{name}.1.fn.1"),
            "contract": read_linear(source, f"{name}.1.fn.4"),
        }
    )


def _read_attention(source: StateDict, name: str) -> Arrays:
    kernels = {"query": "to_q", "key": "to_k", "value": "to_v", "position": "to_rel_k"}
    biases = {"content_bias": "rel_content_bias", "position_bias": "rel_pos_bias"}
    arrays = {f"{ours}.kernel": read_kernel(source, f"{name}.{theirs}") for ours, theirs in kernels.items()}
    arrays |= {ours: source.take(f"{name}.{theirs}", 4)[0, :, 0] for ours, theirs in biases.items()}
    return arrays | within({"out": read_linear(source, f"{name}.to_out")})
