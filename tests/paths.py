"""Find data that are not in the repository."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


def need(path: Path | str) -> Path:
    """Return `path`, absolute or under SHARED; skip the test with a message if it does not exist."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"needs {path} in the shared data folder, which is absent here")
    return found
