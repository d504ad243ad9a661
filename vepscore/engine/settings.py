"""Fix JAX's settings for a run, so that its numbers do not depend on the environment or on the caller's process.

JAX reads its settings from variables such as `JAX_ENABLE_X64`, and any code in the process may change them.

*Scoped.* `fixed_settings` fixes the settings that JAX can scope, and restores them at the end. JAX scopes them to a
thread, so `open_session` enters it, and each engine enters it again in `score`. Library calls change nothing else.

*Process-wide.* `set_up_process` sets what JAX and XLA have once per process. It is called by commands and by workers of
a cluster only, before the first device is used:

    XLA_FLAGS                  deterministic kernels on a GPU
    NPROC                      the number of threads of a CPU device
    jax_platforms              the requested device, so that no other is opened
    jax_compilation_cache_*    the folder that keeps compiled code
    compiler settings          see `_UNSCOPED`
"""

import contextlib
import hashlib
import logging
import os
import platform
from collections.abc import Iterator
from pathlib import Path

import jax

from vepscore.genome.cache import cache_dir
from vepscore.paths import utf8_path
from vepscore.threads import THREADS_VARIABLE, granted_threads

log = logging.getLogger(__name__)

_DETERMINISTIC_FLAG = "--xla_gpu_deterministic_ops"

# By the name of the context manager in `jax`: settings that change numbers, shapes, or what is an error.
_SCOPED = {
    "enable_x64": False,
    "numpy_dtype_promotion": "standard",
    "numpy_rank_promotion": "allow",
    "allow_f16_reductions": True,
    "default_prng_impl": "threefry2x32",
    "enable_custom_prng": False,
    "legacy_prng_key": "allow",
    "threefry_partitionable": True,
    "softmax_custom_jvp": True,
    "disable_jit": False,
    "no_tracing": False,
    "no_execution": False,
    "debug_nans": False,
    "debug_infs": False,
    "debug_key_reuse": False,
    "enable_checks": False,
    "check_tracer_leaks": False,
    "transfer_guard": "allow",
    "array_garbage_collection_guard": "allow",
}
# By their name in `jax.config`: such settings that JAX cannot scope.
_UNSCOPED = {
    "jax_disable_most_optimizations": False,
    "jax_optimization_level": "UNKNOWN",
    "jax_exec_time_optimization_effort": 0.0,
    "jax_memory_fitting_level": "O2",
    "jax_memory_fitting_effort": 0.0,
    "jax_compiler_enable_remat_pass": True,
    "jax_random_seed_offset": 0,
    "jax_raise_persistent_cache_errors": False,
}


@contextlib.contextmanager
def fixed_settings(precision: str | None = None, device: jax.Device | None = None) -> Iterator[None]:
    """Fix JAX's settings in this thread, and restore them at the end.

    Args:
        precision: of the network's parameters. With "float32" products are exact also on devices that would round
            their operands; otherwise as the device does them.
        device: default device of arrays; None for JAX's default.
    """
    with contextlib.ExitStack() as scopes:
        for name, value in _SCOPED.items():
            if hasattr(jax, name):  # not every JAX version has all of them
                scopes.enter_context(getattr(jax, name)(value))
        scopes.enter_context(jax.default_matmul_precision("highest" if precision == "float32" else None))
        scopes.enter_context(jax.default_device(device))
        yield


def set_up_process(device: str = "auto", *, deterministic: bool = True) -> None:
    """Set what JAX and XLA have once per process; for commands and workers, before the first device is used.

    Args:
        device: "cpu", "gpu", "tpu", or "auto" for the best that is available.
        deterministic: use GPU kernels that return the same bytes each time. They are slower.
    """
    # Its messages below warnings are about each kind of device that is absent.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    os.environ[THREADS_VARIABLE] = str(granted_threads())
    if deterministic:
        _make_deterministic()
    if device != "auto":
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(device, device))
        jax.config.update("jax_platform_name", "")
    for name, value in _UNSCOPED.items():
        if name in jax.config.values:
            jax.config.update(name, value)
    keep_compiled(cache_dir())


def keep_compiled(cache: Path) -> None:
    """Cache compiled code for later runs on a machine of this kind.

    Code for one kind of processor may not run on another that shares the cache directory.
    """
    folder = cache / "compiled" / _processor_digest()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.info("compiled code is not cached: %s", error)
        return
    if not os.access(folder, os.W_OK):
        log.info("compiled code is not cached: %s is not writable", folder)
        return
    jax.config.update("jax_compilation_cache_dir", str(utf8_path(folder)))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _make_deterministic() -> None:
    """Make a GPU return the same bytes each time: no sums in random order, no autotuned kernels.

    A flag that the user has set is kept.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _DETERMINISTIC_FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_DETERMINISTIC_FLAG}=true".strip()


def _processor_digest() -> str:
    """Return a name for the kind of processor, by its features."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    facts = sorted({line for line in lines if line.startswith(("flags", "model name", "Features"))})
    return hashlib.sha256("\n".join([platform.machine(), *facts]).encode()).hexdigest()[:16]
