"""Where the tests find the data that is not in the repository."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def need(path: Path | str) -> Path:
    """`path`, absolute or under SHARED; skips the test, saying so, where it is absent."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"needs {path} in the shared data folder, which is absent here")
    return found
