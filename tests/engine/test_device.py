"""The device is made deterministic before it is first used; in processes of their own, since that happens once."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from vepscore.engine.device import keep_compiled

FLAG = "--xla_gpu_deterministic_ops"
PROGRAM = """
import os
from vepscore.engine.device import choose_device
choose_device("cpu")
import jax.numpy as jnp
print(jnp.arange(3).sum(), os.environ["XLA_FLAGS"])
"""


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (None, f"{FLAG}=true"),
        ("--xla_cpu_enable_fast_math=false", f"--xla_cpu_enable_fast_math=false {FLAG}=true"),
        (f"{FLAG}=false", f"{FLAG}=false"),
    ],
)
def test_xla_is_told_to_be_deterministic(flags: str | None, expected: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    environment |= {"XLA_FLAGS": flags} if flags else {}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"3 {expected}\n"


def test_cache_that_cannot_be_written_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    before = jax.config.jax_compilation_cache_dir
    with caplog.at_level(logging.INFO):
        keep_compiled(Path("/dev/null/cache"))
    assert jax.config.jax_compilation_cache_dir == before
    assert "cannot be kept" in caplog.text
