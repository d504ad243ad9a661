"""Collect the scores of a background of variants and write its quantiles (`vepscore.io.quantiles`).

The scores of each scorer and kind of alleles go to a scratch file in the folder of the output as they come, so that
memory does not grow with them. At the end the file is read a few tracks at a time. The bytes of the output depend only
on the scores and the provenance, not on the order of the scores.

Array axes: T tracks of a scorer, N scores of a track, K points of the grid.
"""

import contextlib
import dataclasses
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vepscore.contract import ScoreMatrix
from vepscore.errors import InputError, PluginError
from vepscore.genome.alleles import AlleleKind, Status, kind_of
from vepscore.io.atomic import writing
from vepscore.io.fields import QUANTILE_FIELDS
from vepscore.io.output_file import OutputFile, WriterContext
from vepscore.io.quantiles import COLUMNS, COUNT_KEYS, GRID, GRID_KEY
from vepscore.io.results import AlleleResult, RecordResult, ResultWriter
from vepscore.io.run_metadata import NamedFile, RunMetadata
from vepscore.outputs import Output, Tracks
from vepscore.versions import versions

FEW_SCORES = 1000  # a background with fewer scores causes a warning

_HELD_SCORES = 1 << 25  # scores sorted at a time
_log = logging.getLogger(__name__)


class QuantilesFile(OutputFile):
    """The quantiles of all scores: the input is a background of variants. Asked for by `vepscore calibrate`."""

    name = "quantiles"
    suffixes = (".parquet",)
    needs_all_scores = True

    def complete(self, metadata: RunMetadata, source: str, digest: str) -> RunMetadata:
        """Return the metadata with the background and the versions of what scored it."""
        background = NamedFile(Path(source).name, digest)
        return dataclasses.replace(metadata, background=background, versions=tuple(versions().items()))

    def open(self, context: WriterContext) -> ResultWriter:
        return BackgroundWriter(self.path, context.tracks, context.signed, context.metadata.to_header())


class BackgroundWriter(ResultWriter):
    """Take the results of a background's records and write its quantiles.

    Args:
        path: the Parquet file.
        tracks: the tracks that the columns of each output's scores are about.
        signed: the names of the scorers and fields whose scores are signed.
        provenance: the file's key-value metadata.
    """

    def __init__(
        self,
        path: str | Path,
        tracks: Mapping[Output, Tracks],
        signed: Collection[str],
        provenance: Mapping[str, str],
    ) -> None:
        super().__init__(path, (".parquet",))
        self._provenance = provenance
        folder = self._temporary.parent
        self._kinds = {kind: _KindScores(folder, tracks, signed) for kind in AlleleKind}

    def write(self, result: RecordResult) -> None:
        """Add the scores of all ALTs of a record.

        Raises:
            PluginError: a block's shape is not that of its tracks.
            OutputError: the scores cannot be kept.
        """
        with writing(self.name):
            for allele in result.alleles:
                if allele.status is Status.OK:
                    self._kinds[kind_of(result.record.ref, allele.alt)].add(allele)

    def _complete(self) -> None:
        counts = {kind: scores.alleles for kind, scores in self._kinds.items()}
        if not any(counts.values()):
            raise InputError(
                f"{self.name}\nno allele of the input was scored, so there is no background",
                hint="`vepscore score` with the same options says why",
            )
        rows = [
            {"kind": str(kind), **row}
            for kind, scores in self._kinds.items()
            for row in _checked_rows(kind, scores)
        ]
        grid = " ".join(f"{p:.12g}" for p in GRID)
        facts = {**self._provenance, GRID_KEY: grid}
        facts |= {key: str(counts[kind]) for kind, key in COUNT_KEYS.items()}
        schema = pa.schema(COLUMNS).with_metadata(facts)
        pq.write_table(pa.Table.from_pylist(rows, schema), self._temporary, compression="zstd")

    def _abandon(self) -> None:
        super()._abandon()
        for scores in self._kinds.values():
            scores.close()


def _checked_rows(kind: AlleleKind, scores: "_KindScores") -> list[dict[str, Any]]:
    """Return the rows of one kind; warn if the background has too few scores of it."""
    if not scores.alleles:
        _log.warning("the background has no %ss: they get no quantiles", kind)
        return []
    rows = list(scores.rows())
    few = sum(0 < row["scores"] < FEW_SCORES for row in rows)
    if few:
        _log.warning(
            "%ss: %d of %d backgrounds have fewer than %d scores, so their quantiles do not reach the ends",
            kind,
            few,
            len(rows),
            FEW_SCORES,
        )
    return rows


class _KindScores:
    """The scores of all alleles of one kind, in scratch files without names, which vanish when they are closed."""

    def __init__(self, folder: Path, tracks: Mapping[Output, Tracks], signed: Collection[str]) -> None:
        self.alleles = 0
        self._folder = folder
        self._tracks = tracks
        self._signed = signed
        self._outputs: dict[str, Output] = {}  # by scorer
        self._scratch: dict[str, IO[bytes]] = {}  # by scorer: its scores, float32 (N, T), row after row
        self._fields: dict[str, list[float]] = {name: [] for name in QUANTILE_FIELDS}

    def add(self, allele: AlleleResult) -> None:
        """Add the scores of an allele; raise PluginError if a block's shape is not that of its tracks."""
        self.alleles += 1
        for name in allele.fields.keys() & self._fields.keys():
            self._fields[name].append(float(allele.fields[name]))
        for matrix in allele.matrices:
            self._add_matrix(matrix)

    def _add_matrix(self, matrix: ScoreMatrix) -> None:
        expected = len(self._tracks.get(matrix.output, ()))
        if matrix.values.ndim != 2 or matrix.values.shape[1] != expected:
            raise PluginError(
                f"scorer {matrix.scorer}\ngave scores of shape {matrix.values.shape}, expected {expected} columns: "
                f"the tracks of {matrix.output}"
            )
        if matrix.scorer not in self._scratch:
            self._outputs[matrix.scorer] = matrix.output
            self._scratch[matrix.scorer] = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        self._scratch[matrix.scorer].write(np.ascontiguousarray(matrix.values, np.float32).tobytes())

    def close(self) -> None:
        """Close the scratch files."""
        for file in self._scratch.values():
            with contextlib.suppress(OSError):  # of a full disk, which `rows` reports
                file.close()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the table, without their `kind`."""
        for scorer, output in sorted(self._outputs.items()):
            tracks, file = self._tracks[output], self._scratch[scorer]
            file.flush()
            if not file.tell():
                continue
            scores = np.memmap(file, np.float32, mode="r").reshape(-1, len(tracks))
            quantiles, counts = quantiles_of(scores)
            for index in range(len(tracks)):
                yield {
                    "scorer": scorer,
                    "output_type": output.value,
                    "track_index": index,
                    "track_name": str(tracks.name[index]),
                    "track_strand": str(tracks.strand[index]),
                    "is_signed": scorer in self._signed,
                    "scores": int(counts[index]),
                    "quantiles": quantiles[index],
                }
        for name, values in self._fields.items():
            quantiles, counts = quantiles_of(np.array(values, np.float32)[:, None])
            yield {
                "field": name,
                "is_signed": name in self._signed,
                "scores": int(counts[0]),
                "quantiles": quantiles[0],
            }


def quantiles_of(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the quantiles of each column at the probabilities of GRID.

    The i-th smallest of N scores has the probability (i - 0.5) / N (Hazen); between two scores, interpolate linearly.

    Args:
        scores: float32 (N, T); NaN is no score.

    Returns:
        float32 (T, K), NaN at probabilities below 0.5 / N and above 1 - 0.5 / N; and int64 (T,), the number of scores.
    """
    tracks = scores.shape[1]
    quantiles = np.full((tracks, len(GRID)), np.nan, np.float32)
    counts = np.zeros(tracks, np.int64)
    step = max(1, _HELD_SCORES // max(1, len(scores)))
    for start in range(0, tracks, step):
        ascending = np.sort(scores[:, start : start + step].T, axis=1)  # NaN comes last
        counts[start : start + step] = (~np.isnan(ascending)).sum(axis=1)
        for row, column in enumerate(ascending, start):
            quantiles[row] = _at_grid(column[: counts[row]])
    return quantiles, counts


def _at_grid(ascending: np.ndarray) -> np.ndarray:
    """Return the quantiles of one column without NaN."""
    count = len(ascending)
    place = np.round(GRID * count - 0.5, 9)  # rounded, so that the ends are the same from above and below
    is_known = (place >= 0) & (place <= count - 1)
    values = np.full(len(GRID), np.nan)
    if is_known.any():
        values[is_known] = np.interp(place[is_known], np.arange(count), ascending)
    return values
