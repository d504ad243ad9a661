"""Measure the cost of opening the full-size checkpoint, in the official layout and imported.

    python -m examples.benchmarks.opening

Each measurement is a separate process, started after Python and the libraries have been read once. Times are of opening
only, including imports of the layout's own libraries; memory is the peak resident size of the process.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.paths import SHARED

PARITY = SHARED / "parity"
METADATA = {
    "human": PARITY / "OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto.gz",
    "mouse": PARITY / "OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto.gz",
}
REPEATS = 5


def main() -> None:
    """Write the checkpoint if it is not given, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m examples.benchmarks.opening", description=__doc__)
    parser.add_argument("--one", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="folder that keeps checkpoints between calls")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(TASKS[options.one], options.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        if not (folder / "official").exists():
            subprocess.run([sys.executable, PARITY / "params.py", folder / "official"], check=True)
        for task in ("import", "import bfloat16"):
            if not (folder / task.replace(" ", "_")).exists():
                report(task, [run(task, folder)])
        for task in ("orbax restore", "open official", "open imported", "open imported bfloat16"):
            report(task, [run(task, folder) for _ in range(REPEATS)])


def run(task: str, folder: Path) -> dict[str, float]:
    """Make one measurement in a separate process."""
    command = [sys.executable, "-m", "examples.benchmarks.opening", "--one", task, "--folder", folder]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report(task: str, measured: list[dict[str, float]]) -> None:
    """Return medians, with the range of the times."""
    times = sorted(each["seconds"] for each in measured)
    peak = statistics.median(each["peak_gb"] for each in measured)
    print(
        f"{task:24} {statistics.median(times):6.2f} s  ({times[0]:.2f} to {times[-1]:.2f})  peak {peak:.2f} GB"
    )


def measure(task: Callable[[Path], None], folder: Path) -> dict[str, float]:
    """Return time and peak memory of a task, on a device that is ready."""
    import jax

    jax.devices()
    started = time.perf_counter()
    task(folder)
    seconds = time.perf_counter() - started
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {"seconds": seconds, "peak_gb": peak_gb}


def restore(folder: Path) -> None:
    """Open as the official code does: host arrays, no network."""
    import orbax.checkpoint as ocp

    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.restore(folder / "official")


def open_official(folder: Path) -> None:
    """Open until ready to predict."""
    from vepscore.networks.alphagenome.official.orbax_checkpoint import load_official

    wait_for(load_official(folder / "official", METADATA["human"]))


def open_imported(folder: Path) -> None:
    """Open until ready to predict."""
    from vepscore.model.checkpoint import load_checkpoint

    wait_for(load_checkpoint(folder / "import"))


def open_imported_bfloat16(folder: Path) -> None:
    """Open until ready to predict in bfloat16."""
    from vepscore.model.checkpoint import load_checkpoint

    wait_for(load_checkpoint(folder / "import_bfloat16", dtype="bfloat16"))


def import_float32(folder: Path) -> None:
    """Import as `vepscore weights import` does."""
    from vepscore.networks.alphagenome.official.orbax_checkpoint import import_checkpoint

    import_checkpoint(folder / "official", folder / "import", metadata=METADATA, name="parity")


def import_bfloat16(folder: Path) -> None:
    """Import as `vepscore weights import --dtype bfloat16` does."""
    from vepscore.networks.alphagenome.official.orbax_checkpoint import import_checkpoint

    output = folder / "import_bfloat16"
    import_checkpoint(folder / "official", output, metadata=METADATA, name="parity", dtype="bfloat16")


def wait_for(checkpoint: object) -> None:
    """Wait until every array is on the device."""
    import jax
    from flax import nnx

    jax.block_until_ready(nnx.state(checkpoint.network))


TASKS: dict[str, Callable[[Path], None]] = {
    "import": import_float32,
    "import bfloat16": import_bfloat16,
    "orbax restore": restore,
    "open official": open_official,
    "open imported": open_imported,
    "open imported bfloat16": open_imported_bfloat16,
}

if __name__ == "__main__":
    main()
