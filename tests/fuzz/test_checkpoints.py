"""Damaged checkpoints: read, or refused with one of our errors."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.builders import build_checkpoint
from tests.fuzz.budgets import each_budget, try_out
from tests.fuzz.checks import our_errors
from tests.fuzz.mutations import damaged
from vepscore.errors import CheckpointError
from vepscore.model.checkpoint import load_checkpoint, read_config, verify_checkpoint
from vepscore.model.track_table import read_tracks

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 10**12)
    | st.floats()
    | st.sampled_from(["", "float32", "human", "x"]),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.sampled_from("ab"), values, max_size=2),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@each_budget
def test_damaged_config_is_read_or_refused(folder: Path, checkpoint: Path, budget: str) -> None:
    path = folder / "config.json"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with our_errors("config.json"):
            read_config(folder)

    try_out(budget, check, damaged(st.just((checkpoint / "config.json").read_bytes())))


@each_budget
def test_config_with_other_values_is_read_or_refused(folder: Path, checkpoint: Path, budget: str) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    places = [(name,) for name in config] + [("architecture", name) for name in config["architecture"]]

    def check(place: tuple[str, ...], value: object) -> None:
        changed = json.loads(json.dumps(config))
        inner = changed["architecture"] if len(place) > 1 else changed
        inner[place[-1]] = value
        (folder / "config.json").write_text(json.dumps(changed))
        with our_errors("config.json"):
            read_config(folder)

    try_out(budget, check, st.sampled_from(places), JSON_VALUES)


@each_budget
def test_damaged_tracks_are_read_or_refused(folder: Path, checkpoint: Path, budget: str) -> None:
    path = folder / "tracks.parquet"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        with our_errors(path):
            read_tracks(path, "human")

    try_out(budget, check, damaged(st.just((checkpoint / "tracks.parquet").read_bytes())))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("channel", 99),
        ("channel", -1),
        ("channel", None),
        ("output", "X"),
        ("organism", None),
        ("nonzero_mean", "x"),
    ],
)
def test_impossible_tracks_are_refused(
    tmp_path: Path, checkpoint: Path, column: str, value: int | str | None
) -> None:
    import pandas as pd

    shutil.copytree(checkpoint, tmp_path / "changed")
    path = tmp_path / "changed" / "tracks.parquet"
    table = pd.read_parquet(path).astype({column: object})
    table.loc[0, column] = value
    table.to_parquet(path) if value != "x" else table.astype({column: str}).to_parquet(path)
    with our_errors(path) as errors:
        load_checkpoint(tmp_path / "changed")
    assert errors


def test_sizes_that_do_not_fit_the_arrays_are_refused(tmp_path: Path, checkpoint: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "changed")
    path = tmp_path / "changed" / "config.json"
    config = json.loads(path.read_text())
    for name, value in config["architecture"].items():
        if name in ("heads", "splice_site_threshold", "max_splice_sites"):
            continue
        changed = {**config, "architecture": {**config["architecture"], name: value + 1}}
        path.write_text(json.dumps(changed))
        with pytest.raises(CheckpointError):
            load_checkpoint(tmp_path / "changed")


def test_list_of_hashes_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "SHA256SUMS").write_bytes(b"\xff\xfe")
    with our_errors("SHA256SUMS") as errors:
        verify_checkpoint(tmp_path)
    assert errors
