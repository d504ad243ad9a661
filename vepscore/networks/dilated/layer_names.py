"""How the published files name the layers of one network, and its arrays by our names.

Batch norms are folded to x·scale + offset, in float64.
"""

import dataclasses
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from vepscore.networks.dilated.dilated_config import BASES, BLOCKS_PER_SKIP, DilatedConfig

Arrays = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LayerNames:
    """The names of a network's layers in a published file."""

    stem: str
    skips: tuple[str, ...]  # one more than there are groups of blocks
    norms: tuple[tuple[str, str], ...]  # of each block
    convolutions: tuple[tuple[str, str], ...]  # of each block
    heads: tuple[str, ...]


@runtime_checkable
class LayerReader(Protocol):
    """Reads layers from the arrays of a file."""

    def convolution(
        self, layer: str
    ) -> tuple[Float[np.ndarray, "width in_channels out_channels"], Float[np.ndarray, " out_channels"]]:
        """Return kernel and bias."""

    def norm(self, layer: str) -> tuple[Float[np.ndarray, " channels"], Float[np.ndarray, " channels"]]:
        """Return scale and offset."""


@dataclasses.dataclass(frozen=True)
class TorchLayers:
    """The layers of a PyTorch state dictionary."""

    arrays: Arrays

    def convolution(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        return self.arrays[f"{layer}.weight"].transpose(2, 1, 0), self.arrays[f"{layer}.bias"]

    def norm(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        names = ("weight", "bias", "running_mean", "running_var")
        return fold_norm(*(self.arrays[f"{layer}.{name}"] for name in names), epsilon=1e-5)


@dataclasses.dataclass(frozen=True)
class KerasLayers:
    """The layers of a Keras file."""

    arrays: Arrays

    def convolution(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        return self.arrays[f"{layer}/kernel:0"], self.arrays[f"{layer}/bias:0"]

    def norm(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        names = ("gamma", "beta", "moving_mean", "moving_variance")
        return fold_norm(*(self.arrays[f"{layer}/{name}:0"] for name in names), epsilon=1e-3)


@dataclasses.dataclass(frozen=True)
class FrozenLayers:
    """The layers of one of several Keras networks in a frozen TensorFlow graph."""

    arrays: Arrays
    network: int

    def convolution(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        kernel = self._read(f"{layer}/conv1d{self._suffix}/ExpandDims_1/ReadVariableOp")
        return kernel, self._read(f"{layer}/BiasAdd{self._suffix}/ReadVariableOp")

    def norm(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        names = ("mul/ReadVariableOp", "ReadVariableOp_2", "ReadVariableOp_1", "ReadVariableOp")
        arrays = (self._read(f"{layer}/batchnorm{self._suffix}/{name}") for name in names)
        return fold_norm(*arrays, epsilon=1e-3)

    @property
    def _suffix(self) -> str:
        return f"_{self.network}" if self.network else ""

    def _read(self, operation: str) -> np.ndarray:
        return self.arrays[f"model_1/{operation}/resource"]


def fold_norm(
    gamma: np.ndarray, beta: np.ndarray, mean: np.ndarray, variance: np.ndarray, *, epsilon: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and offset of a batch norm at inference."""
    gamma, beta, mean, variance = (np.asarray(x, np.float64) for x in (gamma, beta, mean, variance))
    scale = gamma / np.sqrt(variance + epsilon)
    return scale, beta - mean * scale


def keras_names(blocks: int) -> LayerNames:
    """Return the names of SpliceAI's layers, which Keras numbers in the order of their creation."""
    numbers = iter(range(1, 3 * blocks + 4))
    stem, first_skip = (f"conv1d_{next(numbers)}" for _ in range(2))
    skips, convolutions = [first_skip], []
    for block in range(blocks):
        convolutions.append((f"conv1d_{next(numbers)}", f"conv1d_{next(numbers)}"))
        if (block + 1) % BLOCKS_PER_SKIP == 0:
            skips.append(f"conv1d_{next(numbers)}")
    return LayerNames(
        stem=stem,
        skips=tuple(skips),
        norms=tuple(
            (f"batch_normalization_{2 * block + 1}", f"batch_normalization_{2 * block + 2}")
            for block in range(blocks)
        ),
        convolutions=tuple(convolutions),
        heads=(f"conv1d_{next(numbers)}",),
    )


def openspliceai_names(blocks: int) -> LayerNames:
    """Return the names of OpenSpliceAI's layers: its list of units has the skips among the blocks."""
    units = [f"residual_units.{block + block // BLOCKS_PER_SKIP}" for block in range(blocks)]
    skips = [f"residual_units.{(group + 1) * (BLOCKS_PER_SKIP + 1) - 1}.conv" for group in _groups(blocks)]
    return LayerNames(
        stem="initial_conv",
        skips=("initial_skip.conv", *skips),
        norms=tuple((f"{unit}.batchnorm1", f"{unit}.batchnorm2") for unit in units),
        convolutions=tuple((f"{unit}.conv1", f"{unit}.conv2") for unit in units),
        heads=("final_conv",),
    )


def spliceformer_names(blocks: int) -> LayerNames:
    """Return the names of the layers of Spliceformer's SpliceAI-10k."""
    units = [
        f"module.res_layers.{block // BLOCKS_PER_SKIP}.comboBlock.{block % BLOCKS_PER_SKIP}"
        for block in range(blocks)
    ]
    return LayerNames(
        stem="module.conv_layer_1",
        skips=tuple(f"module.skip_layers.{index}" for index in range(1 + len(_groups(blocks)))),
        norms=tuple((f"{unit}.bn1", f"{unit}.bn2") for unit in units),
        convolutions=tuple((f"{unit}.convlayer1", f"{unit}.convlayer2") for unit in units),
        heads=("module.conv_final",),
    )


def pangolin_names(blocks: int) -> LayerNames:
    """Return the names of Pangolin's layers; its heads are, by tissue, those of splice sites and of usage."""
    units = [f"resblocks.{block}" for block in range(blocks)]
    return LayerNames(
        stem="conv1",
        skips=("skip", *(f"convs.{group}" for group in _groups(blocks))),
        norms=tuple((f"{unit}.bn1", f"{unit}.bn2") for unit in units),
        convolutions=tuple((f"{unit}.conv1", f"{unit}.conv2") for unit in units),
        heads=tuple(f"conv_last{head + 1}" for head in range(8)),
    )


def trunk_arrays(names: LayerNames, layers: LayerReader) -> dict[str, np.ndarray]:
    """Return the arrays of one network's trunk by our names.

    Raises:
        KeyError: the file lacks one of them.
    """
    arrays = pointwise_arrays("trunk.stem", names.stem, layers)
    for index, skip in enumerate(names.skips):
        arrays |= pointwise_arrays(f"trunk.skips.{index}", skip, layers)
    for block, pairs in enumerate(zip(names.norms, names.convolutions, strict=True)):
        for layer, (norm, convolution) in enumerate(zip(*pairs, strict=True), start=1):
            scale, offset = layers.norm(norm)
            kernel, bias = layers.convolution(convolution)
            for name, array in {"scale": scale, "offset": offset, "kernel": kernel, "bias": bias}.items():
                arrays[f"trunk.blocks.{block}.{name}{layer}"] = array
    return arrays


def pointwise_arrays(ours: str, theirs: str, layers: LayerReader) -> dict[str, np.ndarray]:
    """Return kernel and bias of a convolution of width 1.

    Raises:
        KeyError: the file lacks one of them.
    """
    kernel, bias = layers.convolution(theirs)
    return {f"{ours}.kernel": kernel[0], f"{ours}.bias": bias}


def expected_shapes(config: DilatedConfig, classes: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of an ensemble's arrays, with the axis of networks."""
    networks, channels = config.networks, config.channels
    pointwise = {"trunk.stem": (BASES, channels), "head": (channels, classes)}
    pointwise |= {
        f"trunk.skips.{index}": (channels, channels) for index in range(1 + len(_groups(config.blocks)))
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, kernel in pointwise.items():
        shapes |= {f"{name}.kernel": (networks, *kernel), f"{name}.bias": (networks, kernel[-1])}
    for block, width in enumerate(config.widths):
        for layer in (1, 2):
            shapes[f"trunk.blocks.{block}.kernel{layer}"] = (networks, width, channels, channels)
            for name in ("scale", "offset", "bias"):
                shapes[f"trunk.blocks.{block}.{name}{layer}"] = (networks, channels)
    return shapes


def _groups(blocks: int) -> range:
    return range(blocks // BLOCKS_PER_SKIP)
