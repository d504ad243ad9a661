"""Test that the table of tracks is read as written, and refused if it is truncated or incomplete."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.networks.alphagenome.tiny import tiny_tracks
from vepscore.errors import CheckpointError
from vepscore.model.track_table import read_tracks, write_tracks
from vepscore.outputs import Output, Tracks

COLUMNS = ("name", "strand", "ontology_curie", "biosample_name", "assay", "nonzero_mean", "channel")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tracks.parquet"
    write_tracks(path, {organism: tiny_tracks(organism=organism) for organism in ("human", "mouse")})
    return path


@pytest.mark.parametrize("organism", ["human", "mouse"])
def test_round_trip(path: Path, organism: str) -> None:
    expected, found = tiny_tracks(organism=organism), read_tracks(path, organism)
    assert list(found) == list(expected)
    for output, tracks in found.items():
        assert isinstance(output, Output) and tracks.output is output
        for column in COLUMNS:
            a, b = getattr(tracks, column), getattr(expected[output], column)
            assert np.array_equal(a, b)
            assert a.dtype == b.dtype


def test_missing_text_is_empty(tmp_path: Path) -> None:
    tracks = Tracks(
        output=Output.CAGE,
        name=np.array(["a"], object),
        strand=np.array(["."], object),
        ontology_curie=np.array([None], object),
        biosample_name=np.array([np.nan], object),
        assay=np.array([""], object),
        nonzero_mean=np.ones(1, np.float32),
        channel=np.zeros(1, np.int32),
    )
    write_tracks(tmp_path / "tracks.parquet", {"human": {Output.CAGE: tracks}})
    found = read_tracks(tmp_path / "tracks.parquet", "human")[Output.CAGE]
    assert (found.ontology_curie[0], found.biosample_name[0], found.assay[0]) == ("", "", "")
    assert len(found) == 1


def test_error_for_an_unknown_organism_lists_the_known_ones(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no tracks for organism 'zebrafish'\n  found: human, mouse"):
        read_tracks(path, "zebrafish")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not a track table"):
        read_tracks(tmp_path / "tracks.parquet", "human")


@pytest.mark.parametrize("kept", [0, 4, 1000])
def test_truncated_file(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="not a track table"):
        read_tracks(path, "human")


def test_missing_column_is_named(path: Path) -> None:
    pd.read_parquet(path).drop(columns="strand").to_parquet(path)
    with pytest.raises(CheckpointError, match="strand"):
        read_tracks(path, "human")
