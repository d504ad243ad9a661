"""What `import vepscore` has, and what it costs."""

import subprocess
import sys

import vepscore

HEAVY = ("jax", "flax", "numpy", "pandas", "pyarrow", "pydantic", "pysam", "typer", "matplotlib")
IMPORT_SECONDS = 0.1


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_public_names() -> None:
    assert vepscore.__all__ == ["Model", "VepscoreError", "__version__", "load", "rank"]
    assert dir(vepscore) == vepscore.__all__
    assert all(getattr(vepscore, name).__doc__ for name in vepscore.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(vepscore, "score")


def test_import_loads_nothing_heavy() -> None:
    assert run(f"import sys, vepscore; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_import_takes_less_than_a_tenth_of_a_second() -> None:
    """Processor time, which does not depend on what else the machine does."""
    clock = "time.process_time()"
    program = f"import time; start = {clock}; import vepscore; print({clock} - start)"
    assert min(float(run(program)) for _ in range(3)) < IMPORT_SECONDS
