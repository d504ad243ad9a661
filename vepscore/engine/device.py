"""Find the devices of a run, and the defaults that depend on them."""

import os

import jax

from vepscore.errors import UsageError

THREADS_VARIABLE = "NPROC"  # XLA reads it when a CPU is first used
# Variables of Slurm, PBS, LSF and Grid Engine.
_GRANTED_THREADS = ("SLURM_CPUS_PER_TASK", "NCPUS", "LSB_DJOB_NUMPROC", "NSLOTS")
_REMEDIES = {
    "gpu": "install vepscore[cuda], or pass --device cpu",
    "tpu": "install vepscore[tpu], or pass --device cpu",
    "auto": "unset JAX_PLATFORMS, or pass --device cpu",
}


def find_devices(kind: str) -> list[jax.Device]:
    """Return all devices of a kind that this process has, at least one; of CPUs always one.

    Args:
        kind: "cpu", "gpu", "tpu", or "auto" for the best that is available.

    Raises:
        UsageError: there is no such device.
    """
    try:
        return jax.local_devices(backend=None if kind == "auto" else kind)
    except (RuntimeError, AssertionError) as error:  # JAX asserts that a platform of JAX_PLATFORMS is present
        reason = str(error) or f"found none of JAX's platforms {jax.config.values['jax_platforms']}"
        raise UsageError(
            f"--device {kind}: no such device\n{reason}",
            hint=_REMEDIES.get(kind, "unset JAX_PLATFORMS"),
        ) from error


def count_threads() -> int:
    """Return the number of threads that XLA uses on a CPU: the value of `NPROC`, or the number of cores.

    Reductions are split across threads, so the last digits of a score depend on their number.
    """
    return _count_in(THREADS_VARIABLE) or _count_cores()


def granted_threads() -> int:
    """Return the number of threads that this process may use: by `NPROC`, a scheduler, or the number of cores."""
    stated = [count for name in (THREADS_VARIABLE, *_GRANTED_THREADS) if (count := _count_in(name))]
    return stated[0] if stated else _count_cores()


def default_precision(device: str) -> str:
    """Return the fast precision of a kind of device: bfloat16 except on CPUs."""
    return "float32" if device == "cpu" else "bfloat16"


def _count_in(name: str) -> int:
    """Return the number in an environment variable; 0 if it has none."""
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
