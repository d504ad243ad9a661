"""The scripts of examples/06_training report errors as the commands of `vepscore` do."""

from pathlib import Path

import pytest

from tests.train.scripts import run_script


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("evaluate_held_out.py", ["recipe.toml", "DATA", "CHECKPOINT"]),
        ("evaluate_mpra.py", ["DATA", "CHECKPOINT"]),
    ],
)
def test_a_platform_that_is_absent_is_an_error_without_traceback(
    name: str, arguments: list[str], tmp_path: Path
) -> None:
    done = run_script(name, *arguments, environment={"JAX_PLATFORMS": "tpu"}, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: --device auto: no such device\n")
    assert "hint: unset JAX_PLATFORMS" in done.stderr and "Traceback" not in done.stderr
