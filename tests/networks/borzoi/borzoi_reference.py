"""Run `borzoi-pytorch` on a network with deterministic parameters: the source of the expected values.

    PYTHON tests/networks/borzoi_reference.py CASE FOLDER

is run by an interpreter that has the packages torch, borzoi-pytorch and safetensors, and writes into FOLDER:

    state.safetensors   the state dict
    expected.npz        the predictions for `input_codes`, by organism; the seconds of a pass; the peak memory in GB

The tests import this module for the cases and for the parameters; it imports neither vepscore nor torch.
"""

import dataclasses
import itertools
import json
import resource
import sys
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """The sizes of a network."""

    stem: int = 512
    tower: tuple[int, ...] = (608, 736, 896, 1056, 1280, 1536)
    depth: int = 8
    heads: int = 8
    key: int = 64
    value: int = 192
    embedding: int = 1920
    tracks: tuple[int, int] = (7611, 2608)  # human, mouse
    trunk_bins: int = 4096  # of the window; the widths of the position masks are always those of 4,096 bins
    predicted_bins: int = 6144


CASES = {
    "small": Case(
        stem=6,
        tower=(7, 8, 9, 10, 11, 12),
        depth=2,
        heads=2,
        key=3,
        value=5,
        embedding=13,
        tracks=(9, 4),
        trunk_bins=12,
        predicted_bins=8,
    ),
    "wide": Case(trunk_bins=128, predicted_bins=384),  # the published network in a window of 16,384 bp
    "full": Case(),
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


def parameter(name: str, shape: tuple[int, ...], numbers: Any) -> np.ndarray:
    """Return the array of that name in the state dict, large enough that predictions vary between bins.

    Args:
        name: as in the state dict.
        shape: of the array.
        numbers: as many random numbers between -1 and 1.
    """
    values = np.asarray(numbers).reshape(shape)
    if name.endswith("running_var"):
        values = 1.25 + 0.75 * values
    elif len(shape) == 1 and name.endswith("weight"):  # of a norm
        values = 1 + 0.5 * values
    elif name.endswith(("bias", "running_mean")) and len(shape) == 1:
        values = 0.5 * values
    elif "rel_" not in name.rpartition(".")[2]:
        values = values * np.sqrt(5 / np.prod(shape[1:]))
    return np.asarray(values, np.float32)


def input_codes(width_bp: int) -> np.ndarray:
    """Return the bases of a window: 0 to 3, and 4 (N) in one place, uint8."""
    codes = ((random_numbers("dna", width_bp) + 1) * 2).astype(np.uint8)
    codes[width_bp // 3 : width_bp // 3 + 20] = 4
    return codes


def create(case: Case) -> Any:
    """Return `borzoi_pytorch.Borzoi` with the sizes of a case; the class itself fixes most of them."""
    from borzoi_pytorch import Borzoi
    from borzoi_pytorch.pytorch_borzoi_model import ConvBlock
    from torch import nn

    network = Borzoi.from_hparams(
        dim=case.tower[-1],
        depth=case.depth,
        heads=case.heads,
        attn_dim_key=case.key,
        attn_dim_value=case.value,
        bins_to_return=case.predicted_bins,
        enable_mouse_head=True,
    )
    if case != CASES["small"]:
        return network.eval()
    pool, channels = nn.MaxPool1d(2), (case.stem, *case.tower)
    convs = [ConvBlock(*sizes, kernel_size=5) for sizes in itertools.pairwise(channels)]
    network.conv_dna.conv_layer = nn.Conv1d(4, case.stem, 15, padding="same")
    network.res_tower = nn.Sequential(*[layer for conv in convs[:5] for layer in (conv, pool)][:-1])
    network.unet1 = nn.Sequential(pool, convs[5])
    network.horizontal_conv0 = ConvBlock(channels[-2], channels[-1], kernel_size=1)
    network.final_joined_convs[0] = ConvBlock(channels[-1], case.embedding, kernel_size=1)
    network.human_head, network.mouse_head = (nn.Conv1d(case.embedding, n, 1) for n in case.tracks)
    return network.eval()


def main(name: str, folder: Path) -> None:
    """Write the state dict and the predictions of a case."""
    import torch
    from safetensors.torch import save_file

    case = CASES[name]
    network = create(case)
    state = network.state_dict()
    torch.manual_seed(0)
    with torch.no_grad():
        for key, array in state.items():
            if array.is_floating_point():
                shape = tuple(array.shape)
                # The tests have the numbers of a small network too; of a large one they take too long.
                numbers = random_numbers(key, array.numel()) if name == "small" else torch.rand(shape) * 2 - 1
                array.copy_(torch.as_tensor(parameter(key, shape, numbers)))
    save_file(state, folder / "state.safetensors")
    codes = torch.from_numpy(input_codes(case.trunk_bins * 128).astype(np.int64))
    dna = torch.nn.functional.one_hot(codes, 5)[None, :, :4].float().transpose(1, 2).contiguous()
    with torch.inference_mode():
        start = time.perf_counter()
        human, embeddings = network(dna, return_embeddings=True)
        seconds = time.perf_counter() - start
        mouse = network.final_softplus(network.mouse_head(embeddings))  # as for `is_human=False`
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    arrays = {"human": human[0].T.numpy(), "mouse": mouse[0].T.numpy()}
    np.savez(folder / "expected.npz", **arrays, seconds=seconds, peak_gb=peak_gb)
    print(json.dumps({"case": name, "seconds": seconds, "peak_gb": peak_gb}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
