"""Run the full-size network on the parameters and the window of `enformer_reference`.

    python -m tests.networks.enformer.enformer_full FOLDER

reads state.safetensors and the tables of targets from FOLDER, and writes found.npz: the predictions in the order of the
published columns, by organism; the seconds of two passes, the first of which compiles; the peak memory.
"""

import json
import resource
import sys
import time
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from tests.networks.enformer.enformer_cases import create_network, published_columns
from tests.networks.enformer.enformer_reference import input_codes
from vepscore.model.network import one_hot
from vepscore.networks.enformer.family import FAMILY
from vepscore.networks.enformer.network import Enformer
from vepscore.networks.state_dict import open_state
from vepscore.networks.state_dict_family import ORGANISMS
from vepscore.networks.targets import Targets
from vepscore.outputs import Output


@nnx.jit
def predict(network: Enformer, dna: jax.Array) -> tuple[dict[Output, jax.Array], ...]:
    """Return the predictions of each organism."""
    x = network.embed(dna, 0)[0]
    return tuple(
        {output: network.predict(output, x, row) for output in network.config.heads}
        for row in range(len(ORGANISMS))
    )


def load(folder: Path, targets: dict[str, Targets]) -> Enformer:
    state = open_state(folder / "state.safetensors", hint="")
    return create_network(FAMILY.convert(state, targets))


def main(folder: Path) -> None:
    targets = FAMILY.read_tables({organism: folder / f"targets_{organism}.txt" for organism in ORGANISMS})
    network = load(folder, targets)
    dna = one_hot(input_codes(network.config.window_bp)[None], network.dtype)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        predictions = jax.block_until_ready(predict(network, dna))
        seconds.append(time.perf_counter() - start)
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    arrays = {
        organism: published_columns(targets[organism], jax.device_get(found))
        for organism, found in zip(ORGANISMS, predictions, strict=True)
    }
    np.savez(folder / "found.npz", **arrays, seconds=seconds, peak_gb=peak_gb)
    print(json.dumps({"seconds": seconds, "peak_gb": peak_gb}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
