"""Find how many threads this process may use."""

import os

THREADS_VARIABLE = "NPROC"  # XLA reads it when a CPU is first used
# Variables of Slurm, PBS, LSF and Grid Engine.
_GRANTED_THREADS = ("SLURM_CPUS_PER_TASK", "NCPUS", "LSB_DJOB_NUMPROC", "NSLOTS")


def count_threads() -> int:
    """Return the number of threads that XLA uses on a CPU: the value of `NPROC`, or the number of cores.

    Reductions are split across threads, so the last digits of a score depend on their number.
    """
    return _count_in(THREADS_VARIABLE) or _count_cores()


def granted_threads() -> int:
    """Return the number of threads that this process may use: by `NPROC`, a scheduler, or the number of cores."""
    stated = [count for name in (THREADS_VARIABLE, *_GRANTED_THREADS) if (count := _count_in(name))]
    return stated[0] if stated else _count_cores()


def _count_in(name: str) -> int:
    """Return the number in an environment variable; 0 if it has none."""
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _count_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
