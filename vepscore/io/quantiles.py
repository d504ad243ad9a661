"""Background quantiles: the rank of a score among those of a background of variants.

The convention is that of the official API. A score's quantile is its rank among the scores of the same scorer and track
for the alleles of the background, as a probability from 0 to 1. For a scorer whose scores are signed, the
probability p becomes 2 p - 1, from -1 to 1, and 0 is the median. Scores of all genes, or junctions, of an allele count.
Each VS_ field, which is a largest score over tracks and genes, is ranked among the values of that field.

An allele is ranked among the background's alleles of its own kind: a substitution among substitutions, an indel among
indels. A file without the column `kind`, of an earlier version, ranks alleles of all kinds among all.

A background is stored as its quantiles on a fixed grid of probabilities, denser towards the ends. Between two points of
the grid the probability is interpolated linearly; a score that several points share gets the middle of their range; one
beyond all points gets the probability of the last one. N scores define no probability below 0.5 / N or above
1 - 0.5 / N, so their grid ends there.

Array axes: T tracks of a scorer (or fields), K points of the grid, R rows of a matrix (genes or junctions).

Source: `alphagenome`, docs/source/faqs.md, "What is the difference between a 'quantile_score' and 'raw_score'?".
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vepscore.errors import CheckpointError
from vepscore.genome.alleles import AlleleKind, kind_of
from vepscore.io.fields import QUANTILE_FIELDS
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.io.run_metadata import RunMetadata

GRID_KEY = "vepscoreGrid"  # of the file's metadata: the probabilities
COUNT_KEYS = {  # of the file's metadata: the number of alleles of each kind in the background
    AlleleKind.SUBSTITUTION: "vepscoreSubstitutions",
    AlleleKind.INDEL: "vepscoreIndels",
}
_KINDLESS_COUNT_KEY = "vepscoreAlleles"  # the number of all alleles, in a file without the column `kind`
_LOWER = (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, *(i / 100 for i in range(1, 50)))
GRID = np.array([*_LOWER, 0.5, *(round(1 - p, 12) for p in reversed(_LOWER))])  # float64 (K,), ascending

COLUMNS = {
    "kind": pa.string(),  # an AlleleKind
    "scorer": pa.string(),  # null where the row is about a field
    "field": pa.string(),  # null where it is about a scorer's track
    "output_type": pa.string(),
    "track_index": pa.int32(),  # 0-based among the real tracks of the output
    "track_name": pa.string(),
    "track_strand": pa.string(),
    "is_signed": pa.bool_(),  # quantiles from -1 to 1
    "scores": pa.int64(),  # of the background, over genes or junctions too
    "quantiles": pa.list_(pa.float32()),  # (K,); NaN where so few scores tell nothing
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backgrounds:
    """The backgrounds of the tracks of one scorer, or of fields."""

    grid: np.ndarray  # float64 (K,): probabilities, ascending
    values: np.ndarray  # float32 (T, K): the scores at them, NaN outside of `first` … `last`
    is_signed: np.ndarray  # bool (T,)

    @functools.cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The first and the last known point of each track, and whether there is one: (T,) each."""
        known = np.isfinite(self.values)
        last = len(self.grid) - 1 - known[:, ::-1].argmax(axis=1)
        return known.argmax(axis=1), last, known.any(axis=1)

    @functools.cached_property
    def _points(self) -> np.ndarray:
        """float32 (T, K): the values; unknown ones lie beyond every score, so that counting points needs no cases."""
        ends = np.where(np.arange(len(self.grid)) < self._bounds[0][:, None], -np.inf, np.inf)
        return np.where(np.isfinite(self.values), self.values, ends).astype(np.float32)

    def rank(self, scores: np.ndarray) -> np.ndarray:
        """Return the quantile of each score, both float32 (R, T); NaN for a NaN score, or without a background."""
        ranked = [self._rank_row(row) for row in np.asarray(scores, np.float32)]
        return np.array(ranked, np.float32).reshape(len(ranked), len(self.values))

    def _rank_row(self, scores: np.ndarray) -> np.ndarray:
        first, last, is_known = self._bounds
        below = (self._points < scores[:, None]).sum(axis=1)  # points, of each track
        upto = (self._points <= scores[:, None]).sum(axis=1)
        left, right = np.clip(below - 1, first, last), np.clip(below, first, last)
        is_between = (left < right) & is_known
        left_score, right_score = (self._scores_at(index, is_between) for index in (left, right))
        fraction = np.where(is_between, scores - left_score, 0) / np.where(
            is_between, right_score - left_score, 1
        )
        probability = self.grid[left] + fraction * (self.grid[right] - self.grid[left])
        is_on_points = (upto > below) & (below >= first) & (below <= last)
        middle = (self.grid[right] + self.grid[np.clip(upto - 1, first, last)]) / 2
        probability = np.where(is_on_points, middle, probability)
        quantile = np.where(self.is_signed, 2 * probability - 1, probability)
        return np.where(is_known & ~np.isnan(scores), quantile, np.nan)

    def _scores_at(self, index: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Return the score at a point of each track's grid, float64 (T,); 0 outside of `where`."""
        scores = np.take_along_axis(self._points, index[:, None], axis=1)[:, 0]
        return np.where(where, scores, 0).astype(np.float64)


@dataclasses.dataclass(frozen=True, kw_only=True)
class KindQuantiles:
    """The backgrounds of all scorers and fields, among alleles of one kind."""

    scorers: Mapping[str, Backgrounds]  # by the scorer's name
    fields: tuple[str, ...]  # keys of QUANTILE_FIELDS
    of_fields: Backgrounds  # their backgrounds

    @property
    def known_fields(self) -> frozenset[str]:
        """The fields that any of these alleles had."""
        known = np.isfinite(self.of_fields.values).any(axis=1)
        return frozenset(name for name, is_known in zip(self.fields, known, strict=True) if is_known)

    def without_field(self, name: str) -> Self:
        """Return the quantiles without those of one field."""
        kept = [i for i, field in enumerate(self.fields) if field != name]
        known = self.of_fields
        of_fields = dataclasses.replace(known, values=known.values[kept], is_signed=known.is_signed[kept])
        return dataclasses.replace(self, fields=tuple(self.fields[i] for i in kept), of_fields=of_fields)

    def rank_values(self, fields: Mapping[str, float | str]) -> dict[str, float]:
        """Return the quantiles of an allele's fields, by their keys in an output; a field without one is missing."""
        scores = np.array([[fields.get(name, np.nan) for name in self.fields]], np.float32)
        quantiles = self.of_fields.rank(scores)[0].tolist()
        return {
            QUANTILE_FIELDS[name].id: quantile
            for name, quantile in zip(self.fields, quantiles, strict=True)
            if quantile == quantile
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantiles:
    """The backgrounds of one calibration."""

    name: str  # of the file
    digest: str  # sha256 of the file, hex
    header: Mapping[str, str]  # of the file
    kinds: Mapping[AlleleKind, KindQuantiles]  # of the kinds of which the background has alleles

    @functools.cached_property
    def metadata(self) -> RunMetadata:
        """What the background was scored with."""
        return RunMetadata.from_header(self.header)

    @property
    def alleles(self) -> str:
        """The alleles of the background in words, such as `4000 substitutions, 4000 indels`."""
        counts = [f"{self.header[key]} {kind}s" for kind, key in COUNT_KEYS.items() if key in self.header]
        return ", ".join(counts) or f"{self.header.get(_KINDLESS_COUNT_KEY, 'unknown')} alleles of all kinds"

    @property
    def scorers(self) -> frozenset[str]:
        """The names of the scorers that have a background for any kind."""
        return frozenset(scorer for of_kind in self.kinds.values() for scorer in of_kind.scorers)

    @property
    def known_fields(self) -> frozenset[str]:
        """The fields that any allele of the background had."""
        return frozenset(field for of_kind in self.kinds.values() for field in of_kind.known_fields)

    def without_field(self, name: str) -> Self:
        """Return the quantiles without those of one field."""
        return dataclasses.replace(
            self, kinds={kind: of_kind.without_field(name) for kind, of_kind in self.kinds.items()}
        )

    def without_kind(self, kind: AlleleKind) -> Self:
        """Return the quantiles without those of one kind of alleles."""
        kinds = {known: of_kind for known, of_kind in self.kinds.items() if known is not kind}
        return dataclasses.replace(self, kinds=kinds)

    def rank_scores(self, kind: AlleleKind, scorer: str, scores: np.ndarray) -> np.ndarray:
        """Return the quantiles of one scorer's `scores` of an allele, both float32 (R, T); NaN if there are none.

        Raises:
            CheckpointError: the background is of other tracks.
        """
        of_kind = self.kinds.get(kind)
        background = of_kind.scorers.get(scorer) if of_kind else None
        if background is None:
            return np.full(scores.shape, np.nan, np.float32)
        if len(background.values) != scores.shape[1]:
            raise CheckpointError(
                f"{self.name}\nhas {len(background.values)} tracks of {scorer}, expected {scores.shape[1]}",
                hint="make the quantiles again with `vepscore calibrate`",
            )
        return background.rank(scores)

    def rank_fields(self, result: RecordResult) -> RecordResult:
        """Return the result with the quantile of each field, under the field's key in QUANTILE_FIELDS."""
        if not any(allele.fields for allele in result.alleles):
            return result
        ranked = (self._rank_allele(result.record.ref, allele) for allele in result.alleles)
        return dataclasses.replace(result, alleles=tuple(ranked))

    def _rank_allele(self, ref: str, allele: AlleleResult) -> AlleleResult:
        of_kind = self.kinds.get(kind_of(ref, allele.alt)) if allele.fields else None
        if of_kind is None:
            return allele
        return dataclasses.replace(allele, fields={**allele.fields, **of_kind.rank_values(allele.fields)})


def quantiles_name(organism: str, window_bp: int | str, precision: str) -> str:
    """Return the name of the file of some settings; a folder can have those of several."""
    return f"quantiles-{organism}-{window_bp}bp-{precision}.parquet"


def list_quantiles(folder: Path) -> list[Path]:
    """Return the files of quantiles in a folder, sorted by name."""
    return sorted(folder.glob(quantiles_name("*", "*", "*")))


def read_quantiles(path: Path) -> Quantiles:
    """Read quantiles written by `vepscore calibrate`.

    Raises:
        CheckpointError: the file cannot be read, or is no table of quantiles.
    """
    try:
        data = path.read_bytes()
        return _parse(path, data)
    except OSError as error:
        raise CheckpointError(f"{path}\ncannot be read: {error.strerror or error}") from error
    except Exception as error:  # pyarrow raises a different class for each kind of damage
        raise CheckpointError(
            f"{path}\nis no table of quantiles: {error}",
            hint="make it again with `vepscore calibrate`, or pass --no-quantiles",
        ) from error


def _parse(path: Path, data: bytes) -> Quantiles:
    """Parse the file; raise ValueError for invalid content, or what pyarrow raises."""
    table = pq.read_table(pa.BufferReader(data))
    header = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    grid = np.array(header.get(GRID_KEY, "").split(), np.float64)
    if not (len(grid) and grid[0] > 0 and grid[-1] < 1 and (np.diff(grid) > 0).all()):
        raise ValueError(f"{GRID_KEY} is not ascending probabilities")
    rows = _read_rows(table)
    for row in rows:
        _check_values(row, len(grid))
    of_kinds = {kind: [row for row in rows if row["kind"] in (None, kind)] for kind in AlleleKind}
    return Quantiles(
        name=path.name,
        digest=hashlib.sha256(data).hexdigest(),
        header=header,
        kinds={kind: _of_kind(of_kind, grid) for kind, of_kind in of_kinds.items() if of_kind},
    )


def _read_rows(table: pa.Table) -> list[dict[str, Any]]:
    """Return the rows; `kind` is None in those of a file without that column."""
    if "kind" not in table.column_names:
        table = table.append_column("kind", pa.nulls(len(table), COLUMNS["kind"]))
    rows = table.select(list(COLUMNS)).cast(pa.schema(COLUMNS)).to_pylist()
    if unknown := {row["kind"] for row in rows} - {None, *AlleleKind}:
        raise ValueError(f"{min(unknown)} is no kind of alleles")
    return rows


def _of_kind(rows: Sequence[dict[str, Any]], grid: np.ndarray) -> KindQuantiles:
    names = dict.fromkeys(row["scorer"] for row in rows if row["scorer"] is not None)
    by_scorer = {name: [row for row in rows if row["scorer"] == name] for name in names}
    for scorer, of_scorer in by_scorer.items():
        if [row["track_index"] for row in of_scorer] != list(range(len(of_scorer))):
            raise ValueError(f"the tracks of {scorer} are not numbered from 0")
    of_fields = [row for row in rows if row["field"] in QUANTILE_FIELDS]
    return KindQuantiles(
        scorers={scorer: _backgrounds(of_scorer, grid) for scorer, of_scorer in by_scorer.items()},
        fields=tuple(row["field"] for row in of_fields),
        of_fields=_backgrounds(of_fields, grid),
    )


def _check_values(row: Mapping[str, Any], points: int) -> None:
    values = np.array(row["quantiles"], np.float64)
    known = np.flatnonzero(np.isfinite(values))
    if len(values) != points or not np.array_equal(known, np.arange(len(known)) + known[:1].sum()):
        raise ValueError(f"{row['scorer'] or row['field']} has not one score for each probability")
    if (np.diff(values[known]) < 0).any():
        raise ValueError(f"the quantiles of {row['scorer'] or row['field']} do not ascend")


def _backgrounds(rows: list[dict[str, Any]], grid: np.ndarray) -> Backgrounds:
    return Backgrounds(
        grid=grid,
        values=np.array([row["quantiles"] for row in rows], np.float32).reshape(-1, len(grid)),
        is_signed=np.array([row["is_signed"] for row in rows], bool),
    )
