"""Run `enformer-pytorch` on a network with deterministic parameters: the source of the expected values.

    PYTHON tests/networks/enformer/enformer_reference.py CASE FOLDER

is run by an interpreter that has the packages torch, enformer-pytorch and safetensors, and writes into FOLDER:

    state.safetensors   the state dict
    expected.npz        the predictions for `input_codes`, by organism; the seconds of two passes; the peak memory

The tests import this module for the cases and for the parameters; it imports neither vepscore nor torch.
"""

import json
import resource
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np

WINDOW_BINS = (
    1536  # the only window for which enformer-pytorch has the position features of the published network
)
# By name, the arguments of `Enformer.from_hparams`.
CASES: dict[str, dict[str, Any]] = {
    "small": {
        "dim": 384,
        "depth": 2,
        "heads": 2,
        "attn_dim_key": 8,
        "num_downsamples": 3,
        "dim_divisible_by": 8,
        "output_heads": {"human": 5, "mouse": 3},
        "target_length": 1472,
    },
    "full": {},
}


def random_numbers(name: str, count: int) -> np.ndarray:
    """Return `count` numbers between -1 and 1 that depend on the name: SplitMix64, the same on every machine."""
    with np.errstate(over="ignore"):
        x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x += np.uint64(zlib.crc32(name.encode()) << 32)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)) * 2.0**-52 - 1


def parameter(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array of that name in the state dict: float32, large enough that predictions vary between bins."""
    values = random_numbers(name, int(np.prod(shape))).reshape(shape)
    if name.endswith("running_var"):
        values = 1.25 + 0.75 * values
    elif len(shape) == 1 and name.endswith("weight"):
        values = 1 + 0.5 * values
    elif name.endswith(("bias", "running_mean")) and len(shape) == 1:
        values = 0.5 * values
    elif "rel_" not in name.rpartition(".")[2]:
        values = values * np.sqrt(5 / np.prod(shape[1:]))
    return values.astype(np.float32)


def input_codes(width_bp: int) -> np.ndarray:
    """Return the bases of a window: 0 to 3, and 4 (N) in one place, uint8."""
    codes = ((random_numbers("dna", width_bp) + 1) * 2).astype(np.uint8)
    codes[width_bp // 3 : width_bp // 3 + 20] = 4
    return codes


def main(case: str, folder: Path) -> None:
    import torch
    from enformer_pytorch import Enformer
    from safetensors.torch import save_file

    network = Enformer.from_hparams(**CASES[case], use_tf_gamma=True).eval()
    state = {name: array for name, array in network.state_dict().items() if not name.startswith("_trunk.")}
    with torch.no_grad():
        for name, array in state.items():
            if array.is_floating_point():
                array.copy_(torch.from_numpy(parameter(name, tuple(array.shape))))
    save_file(state, folder / "state.safetensors")
    codes = torch.from_numpy(input_codes(WINDOW_BINS * 2**network.config.num_downsamples).astype(np.int64))
    dna = torch.nn.functional.one_hot(codes, 5)[None, :, :4].float()
    seconds = []
    with torch.inference_mode():
        for _ in range(2):
            start = time.perf_counter()
            predictions = network(dna)
            seconds.append(time.perf_counter() - start)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    arrays = {organism: values[0].numpy() for organism, values in predictions.items()}
    np.savez(folder / "expected.npz", **arrays, seconds=seconds, peak_gb=peak_kb / 1e6)
    print(json.dumps({"case": case, "seconds": seconds, "peak_gb": peak_kb / 1e6}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
