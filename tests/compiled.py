"""Keep compiled programs for all tests, and for the processes that they start; compiling takes most of a short run.

They stay in `build/` for the next test run. JAX finds a program by its code, flags and version, so that an old one is
never used for new code; and a program that was cut short while it was written is compiled again.
"""

import os
import shutil
from pathlib import Path

CACHE = Path(__file__).resolve().parents[1] / "build" / "tests"
COMPILED = CACHE / "compiled"  # where a session with this cache directory keeps compiled programs
MAX_BYTES = 2 << 30
SESSION_FLAGS = "--xla_gpu_deterministic_ops=true"  # the flags are part of a program's key


def keep_for_all_tests() -> None:
    """Make this process keep compiled programs; call it before JAX compiles any."""
    os.environ.setdefault("XLA_FLAGS", SESSION_FLAGS)
    from vepscore.engine.settings import keep_compiled

    keep_compiled(CACHE)


def link_compiled(cache: Path) -> Path:
    """Make sessions with the cache directory `cache`, which may be new, use the programs of all tests."""
    cache.mkdir(parents=True, exist_ok=True)
    COMPILED.mkdir(parents=True, exist_ok=True)
    (cache / COMPILED.name).symlink_to(COMPILED)
    return cache


def delete_if_large() -> None:
    """Delete the kept programs if they take more than MAX_BYTES."""
    if sum(path.stat().st_size for path in COMPILED.glob("*/*")) > MAX_BYTES:
        shutil.rmtree(COMPILED)
