"""Test what a command sets before a device is first used, in new processes because that happens once."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from vepscore.engine.settings import keep_compiled

FLAG = "--xla_gpu_deterministic_ops"
PROGRAM = """
import os
from vepscore.engine.settings import set_up_process
set_up_process("cpu")
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
def test_xla_flags_ask_for_determinism(flags: str | None, expected: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    environment |= {"XLA_FLAGS": flags} if flags else {}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"3 {expected}\n"


THREADS = """
import pathlib
from vepscore.engine.settings import set_up_process
set_up_process("cpu")
import jax.numpy as jnp
(jnp.ones((512, 512)) @ jnp.ones((512, 512))).block_until_ready()
names = [path.read_text() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(sum("XLAEigen" in name for name in names))
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        ({}, "many"),
        ({"SLURM_CPUS_PER_TASK": "1"}, "1"),
        ({"NSLOTS": "1"}, "1"),
        ({"SLURM_CPUS_PER_TASK": "1", "NPROC": "5"}, "5"),
        ({"SLURM_CPUS_PER_TASK": "3"}, "3"),
        ({"SLURM_CPUS_PER_TASK": "", "NCPUS": "many"}, "many"),
    ],
)
def test_cpu_has_the_threads_that_a_scheduler_granted(granted: dict[str, str], expected: str) -> None:
    names = ("NPROC", "SLURM_CPUS_PER_TASK", "NCPUS", "LSB_DJOB_NUMPROC", "NSLOTS")
    environment = {key: value for key, value in os.environ.items() if key not in names} | granted
    done = subprocess.run(
        [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True, check=True
    )
    many = str(len(os.sched_getaffinity(0)))
    assert done.stdout.strip() == (many if expected == "many" else expected)


def test_cache_that_cannot_be_written_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    before = jax.config.jax_compilation_cache_dir
    with caplog.at_level(logging.INFO):
        keep_compiled(Path("/dev/null/cache"))
    assert jax.config.jax_compilation_cache_dir == before
    assert "is not cached" in caplog.text
