"""The toy genome, written once for all tests of training."""

from pathlib import Path

import pytest

from tests.train.toy import write_toy
from vepscore.train.recipe import read_recipe
from vepscore.train.training_data import TrainingData, read_data


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    write_toy(folder)
    return folder


@pytest.fixture(scope="session")
def data(folder: Path) -> TrainingData:
    return read_data(read_recipe(folder / "recipe.toml"), folder)
