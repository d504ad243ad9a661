"""The device that a run uses, and what follows from it."""

import hashlib
import logging
import os
import platform
from pathlib import Path

import jax

from vepscore.errors import UsageError

log = logging.getLogger(__name__)

_XLA_THREADS = "NPROC"  # how many a CPU's device has; read when it is first used
# As Slurm, PBS, LSF and Grid Engine say it.
_GRANTED_THREADS = ("SLURM_CPUS_PER_TASK", "NCPUS", "LSB_DJOB_NUMPROC", "NSLOTS")
_DETERMINISTIC_FLAG = "--xla_gpu_deterministic_ops"
_EXTRAS = {"gpu": "vepscore[cuda]", "tpu": "vepscore[tpu]"}


def choose_device(kind: str) -> str:
    """Makes JAX use the device; call it before anything else touches JAX.

    Args:
        kind: "cpu", "gpu", "tpu", or "auto" for the best there is.

    Returns:
        "cpu", "gpu" or "tpu".

    Raises:
        UsageError: there is no such device.
    """
    logging.getLogger("jax._src.xla_bridge").setLevel(
        logging.WARNING
    )  # it reports each device that is not there
    _make_deterministic()
    os.environ[_XLA_THREADS] = str(count_threads())
    if kind != "auto":
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(kind, kind))
    try:
        return jax.default_backend()
    except RuntimeError as error:
        raise UsageError(
            f"--device {kind}: no such device ({error})",
            hint=f"install {_EXTRAS.get(kind, 'jax')}, or pass --device cpu",
        ) from error


def count_threads() -> int:
    """The threads that this process computes with on a CPU.

    As many as `NPROC` in the environment says, or a scheduler has granted, or the cores that there are. Some sums are
    divided among the threads, so a score's last digits hang on their number.
    """
    stated = [count for name in (_XLA_THREADS, *_GRANTED_THREADS) if (count := _count_in(name))]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return stated[0] if stated else cores


def _count_in(name: str) -> int:
    """What a variable of the environment says; 0 where it says nothing of use."""
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def list_devices() -> list[jax.Device]:
    """All devices of the chosen kind that this process has; on a CPU, one."""
    return jax.local_devices()


def keep_compiled(cache: Path) -> None:
    """Keeps what is compiled in the cache directory, for the next run on a machine of this kind.

    Code for one kind of processor may not run on another, and a folder may be shared by both.
    """
    folder = cache / "compiled" / _processor_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.info("what is compiled cannot be kept: %s", error)
        return
    if not os.access(folder, os.W_OK):
        log.info("what is compiled cannot be kept: %s is not writable", folder)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def default_precision(device: str) -> str:
    """bfloat16 where the hardware is made for it."""
    return "float32" if device == "cpu" else "bfloat16"


def _make_deterministic() -> None:
    """Makes a GPU give the same bytes twice: no sums in an order of chance, no kernels chosen by a race.

    XLA reads its flags when the device is first used. A flag that the user has set stays as it is.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _DETERMINISTIC_FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_DETERMINISTIC_FLAG}=true".strip()


def _processor_digest() -> str:
    """Names the kind of processor, by what it can do."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))})
    return hashlib.sha256("\n".join([platform.machine(), *facts]).encode()).hexdigest()[:16]


def require_exact_products(precision: str) -> None:
    """Makes a float32 run multiply in float32, also on devices that would round the operands."""
    if precision == "float32":
        jax.config.update("jax_default_matmul_precision", "highest")
