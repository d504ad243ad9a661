"""The track table of a checkpoint: `tracks.parquet`, one row per real track of each organism and output."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vepscore.errors import CheckpointError
from vepscore.outputs import Output, Tracks
from vepscore.paths import utf8_path

_TEXT_COLUMNS = ("name", "strand", "ontology_curie", "biosample_name", "assay")
_COLUMNS = ("organism", "output", *_TEXT_COLUMNS, "nonzero_mean", "channel")
_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=name in _TEXT_COLUMNS) for name in _COLUMNS[:-2]]
    + [
        pa.field("nonzero_mean", pa.float32(), nullable=False),
        pa.field("channel", pa.int32(), nullable=False),
    ]
)


def write_tracks(path: Path, tracks: Mapping[str, Mapping[Output, Tracks]]) -> None:
    """Write the tracks of each organism ("human", "mouse"), by output."""
    frames = [
        pd.DataFrame({"organism": organism, "output": str(output)} | _columns(table), columns=_COLUMNS)
        for organism, outputs in tracks.items()
        for output, table in outputs.items()
    ]
    with path.open("wb") as file:
        pd.concat(frames, ignore_index=True).to_parquet(file, index=False, compression="zstd")


def read_tracks(path: Path, organism: str) -> dict[Output, Tracks]:
    """Read the tracks of one organism, by output, in the order of the file.

    Raises:
        CheckpointError: the file is not a track table, or has no tracks of the organism.
    """
    table = _read_table(path)
    organisms = sorted(table["organism"].unique())
    if organism not in organisms:
        raise CheckpointError(
            f"{path}: no tracks for organism {organism!r}\nfound: {', '.join(organisms)}",
            hint="pass one of these to --organism",
        )
    of_organism = table[table["organism"] == organism]
    try:
        return {
            Output(str(output)): _tracks(Output(str(output)), rows)
            for output, rows in of_organism.groupby("output", sort=False)
        }
    except ValueError as error:
        raise CheckpointError(
            f"{path}: {error}; expected one of {[str(output) for output in Output]}"
        ) from error


def with_resolutions(
    tracks: Mapping[Output, Tracks], resolution_bp: Callable[[Output], int]
) -> dict[Output, Tracks]:
    """Return tracks with the resolutions of a network."""
    return {
        output: dataclasses.replace(table, resolution_bp=resolution_bp(output))
        for output, table in tracks.items()
    }


def read_organisms(path: Path) -> list[str]:
    """Return the organisms of the table, in alphabetical order.

    Raises:
        CheckpointError: the file is not a track table.
    """
    return sorted(_read_table(path)["organism"].unique())


def read_outputs(path: Path) -> list[str]:
    """Return the outputs of the table, in the order of the file.

    Raises:
        CheckpointError: the file is not a track table.
    """
    return list(_read_table(path)["output"].unique())


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return (
            pq.read_table(utf8_path(path), columns=list(_COLUMNS)).select(_COLUMNS).cast(_SCHEMA).to_pandas()
        )
    except Exception as error:  # pyarrow raises a different class for each kind of damage
        raise CheckpointError(f"{path}: not a track table ({error})") from error


def _columns(tracks: Tracks) -> dict[str, np.ndarray]:
    return {name: getattr(tracks, name) for name in (*_TEXT_COLUMNS, "nonzero_mean", "channel")}


def _tracks(output: Output, rows: pd.DataFrame) -> Tracks:
    text: dict[str, Any] = {name: rows[name].fillna("").to_numpy(dtype=object) for name in _TEXT_COLUMNS}
    return Tracks(
        output=output,
        nonzero_mean=rows["nonzero_mean"].to_numpy(np.float32),
        channel=rows["channel"].to_numpy(np.int32),
        **text,
    )
