"""The dilated residual networks again in numpy: zero padding and cropping, as the published networks compute."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

Arrays = Mapping[str, np.ndarray]  # by their names in a checkpoint; the first axis is the network

BLOCKS_PER_SKIP = 4


def embed(
    arrays: Arrays,
    network: int,
    dna: Float[np.ndarray, "bp 4"],
    *,
    dilations: Sequence[int],
    negative_slope: float = 0.0,
) -> Float[np.ndarray, "bp channels"]:
    """Return the sum of all skips of one network at every position, padded with zeros outside of the sequence."""

    def get(name: str) -> np.ndarray:
        return np.asarray(arrays[f"trunk.{name}"][network], np.float64)

    def pointwise(name: str, x: np.ndarray) -> np.ndarray:
        return x @ get(f"{name}.kernel") + get(f"{name}.bias")

    x = pointwise("stem", dna)
    skip = pointwise("skips.0", x)
    for block, dilation in enumerate(dilations):
        y = x
        for layer in (1, 2):
            y = y * get(f"blocks.{block}.scale{layer}") + get(f"blocks.{block}.offset{layer}")
            y = np.where(y > 0, y, negative_slope * y)
            y = convolve_same(y, get(f"blocks.{block}.kernel{layer}"), dilation)
            y = y + get(f"blocks.{block}.bias{layer}")
        x = x + y
        if block % BLOCKS_PER_SKIP == BLOCKS_PER_SKIP - 1:
            skip = skip + pointwise(f"skips.{block // BLOCKS_PER_SKIP + 1}", x)
    return skip


def classify(arrays: Arrays, network: int, embedded: np.ndarray) -> Float[np.ndarray, "bp classes"]:
    """Return the logits of a network's head."""
    return embedded @ arrays["head.kernel"][network] + arrays["head.bias"][network]


def convolve_same(x: np.ndarray, kernel: np.ndarray, dilation: int) -> np.ndarray:
    """Convolve along positions, with zeros outside of the sequence."""
    reach = (len(kernel) - 1) // 2 * dilation
    padded = np.pad(x, ((reach, reach), (0, 0)))
    return sum(padded[i * dilation :][: len(x)] @ tap for i, tap in enumerate(kernel))


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def reverse_complement(dna: Float[np.ndarray, "bp 4"]) -> Float[np.ndarray, "bp 4"]:
    """Return the other strand, one-hot, columns A C G T."""
    return dna[::-1, [3, 2, 1, 0]]
