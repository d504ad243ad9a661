"""What the environment says to JAX changes no byte of a run, and what it asks for in vain is a message."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests.builders import vcf_row, write_vcf
from tests.cli.scoring import Bench

# Each changes numbers or shapes, or makes an error of what is none.
SETTINGS = {
    "JAX_ENABLE_X64": "1",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_ALLOW_F16_REDUCTIONS": "0",
    "JAX_DISABLE_JIT": "1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_ENABLE_CUSTOM_PRNG": "1",
    "JAX_LEGACY_PRNG_KEY": "error",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_DEBUG_NANS": "1",
    "JAX_DEBUG_INFS": "1",
    "JAX_DEBUG_KEY_REUSE": "1",
    "JAX_ENABLE_CHECKS": "1",
    "JAX_CHECK_TRACER_LEAKS": "1",
    "JAX_TRANSFER_GUARD": "disallow",
    "JAX_PLATFORMS": "cuda",
}
ROWS = (
    vcf_row("chr1", 16_000, 1, "~"),
    vcf_row("chr1", 16_010, 1, "~GG"),
    vcf_row("chr1", 12_290, 3, "~"),
)


@pytest.mark.slow
@pytest.mark.ci
def test_settings_of_jax_change_no_byte(bench: Bench, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf", *ROWS)
    outputs = ("out.vcf", "out.parquet")
    options = (str(source), "--device", "cpu", "-s", "DNASE", "-o", outputs[0], "-o", outputs[1])
    strange = dataclasses.replace(bench, environment={**bench.environment, **SETTINGS})
    found = {}
    for folder, each in (("usual", bench), ("strange", strange)):
        (tmp_path / folder).mkdir()
        done = each.score(*options, cwd=tmp_path / folder)
        assert done.returncode == 0, done.stderr.decode()
        found[folder] = [(tmp_path / folder / name).read_bytes() for name in outputs]
    assert found["usual"] == found["strange"]


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="there may be a GPU")
def test_platform_that_is_absent_is_a_usage_error(bench: Bench, tmp_path: Path) -> None:
    source = write_vcf(tmp_path / "in.vcf", *ROWS)
    limited = dataclasses.replace(bench, environment={**bench.environment, "JAX_PLATFORMS": "cuda"})
    done = limited.score(str(source), "-o", "out.vcf", cwd=tmp_path)
    assert (done.returncode, done.stderr.decode()) == (
        2,
        "error: --device auto: no such device\n"
        "  found none of JAX's platforms cuda\n"
        "  hint: unset JAX_PLATFORMS, or pass --device cpu\n",
    )
