"""Arrays as the published files of OpenSpliceAI have them."""

import numpy as np

CHANNELS = 32


def openspliceai_arrays(seed: int, channels: int = CHANNELS) -> dict[str, np.ndarray]:
    """Return a state dictionary of OpenSpliceAI's smallest network, of four blocks."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, np.float32)

    arrays: dict[str, np.ndarray] = {}
    layers = {"initial_conv": (channels, 4, 1), "final_conv": (3, channels, 1)}
    layers |= {f"{name}.conv": (channels, channels, 1) for name in ("initial_skip", "residual_units.4")}
    for unit in range(4):
        layers |= {f"residual_units.{unit}.conv{layer}": (channels, channels, 11) for layer in (1, 2)}
        for layer in (1, 2):
            norm = f"residual_units.{unit}.batchnorm{layer}"
            arrays |= {f"{norm}.{name}": draw(channels) for name in ("weight", "bias", "running_mean")}
            arrays |= {f"{norm}.running_var": draw(channels) ** 2, f"{norm}.num_batches_tracked": np.array(9)}
    for name, shape in layers.items():
        arrays |= {f"{name}.weight": draw(*shape), f"{name}.bias": draw(shape[0])}
    return arrays
