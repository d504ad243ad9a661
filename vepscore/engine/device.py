"""The devices that a run uses, and what follows from them."""

import os

import jax

from vepscore.errors import UsageError

THREADS_VARIABLE = "NPROC"  # XLA reads it when a CPU is first used
# As Slurm, PBS, LSF and Grid Engine say it.
_GRANTED_THREADS = ("SLURM_CPUS_PER_TASK", "NCPUS", "LSB_DJOB_NUMPROC", "NSLOTS")
_REMEDIES = {
    "gpu": "install vepscore[cuda], or pass --device cpu",
    "tpu": "install vepscore[tpu], or pass --device cpu",
    "auto": "unset JAX_PLATFORMS, or pass --device cpu",
}


def find_devices(kind: str) -> list[jax.Device]:
    """Return all devices of a kind that this process has, at least one; on a CPU, one.

    Args:
        kind: "cpu", "gpu", "tpu", or "auto" for the best there is.

    Raises:
        UsageError: there is no such device.
    """
    try:
        return jax.local_devices(backend=None if kind == "auto" else kind)
    except (RuntimeError, AssertionError) as error:  # JAX asserts that one of JAX_PLATFORMS is there
        raise UsageError(
            f"--device {kind}: no such device\n{_reason(error)}",
            hint=_REMEDIES.get(kind, "unset JAX_PLATFORMS"),
        ) from error


def count_threads() -> int:
    """Return how many threads XLA computes with on a CPU: what `NPROC` says, or the number of cores.

    Sums are divided among the threads, so the last digits of a score depend on their number.
    """
    return _count_in(THREADS_VARIABLE) or _count_cores()


def granted_threads() -> int:
    """Return how many threads this process may use: what `NPROC` says, or a scheduler, or the number of cores."""
    stated = [count for name in (THREADS_VARIABLE, *_GRANTED_THREADS) if (count := _count_in(name))]
    return stated[0] if stated else _count_cores()


def default_precision(device: str) -> str:
    """Return bfloat16 where the hardware is made for it."""
    return "float32" if device == "cpu" else "bfloat16"


def _count_in(name: str) -> int:
    """Return the number in a variable of the environment; 0 where it has none."""
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _reason(error: Exception) -> str:
    return str(error) or f"found none of JAX's platforms {jax.config.jax_platforms}"
