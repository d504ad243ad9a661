"""What tests in several folders share."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import need


@pytest.fixture(scope="session")
def official_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A checkpoint of the official size and layout, with deterministic parameters; 1.6 GB, for slow tests."""
    folder = tmp_path_factory.mktemp("official") / "parity"
    subprocess.run([sys.executable, need("parity/params.py"), folder], check=True)
    yield folder
    shutil.rmtree(folder)
