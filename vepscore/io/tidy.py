"""The long table's rows: one per allele, scorer, gene, junction or site, and track.

Columns that the `alphagenome` package's `tidy_scores` has too have its names; the others are ours. The Parquet file and
the DataFrame of the Python API are both made by `TidyRows`.

An allele brings some 30,000 rows, so a matrix of scores is kept as it came, with small codes for its names, and becomes
columns only in `TidyRows.table`. Dictionaries hold what a table uses, in order of first appearance: the bytes depend
on the rows alone.

Axis letters: N rows of the table, R rows of a matrix (genes, junctions or sites), T tracks of an output.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from vepscore.contract import ScoreMatrix
from vepscore.errors import PluginError
from vepscore.genome.alleles import kind_of
from vepscore.genome.annotation import Gene
from vepscore.genome.regions import variant_id
from vepscore.genome.windows import Window
from vepscore.io.quantiles import Quantiles
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.outputs import Output, Tracks

STRING = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "variant_id": STRING,  # such as chr1:94027417:G>A, as the VCF names the contig; 1-based
        "scored_interval": STRING,  # the reference's window, such as chr1:94019225-94035609:.; 0-based half-open
        "gene_id": STRING,  # with its version, if the annotation has one
        "gene_name": STRING,
        "gene_type": STRING,
        "gene_strand": STRING,
        "junction_Start": pa.int64(),  # first base of the intron, 0-based
        "junction_End": pa.int64(),  # exclusive
        "output_type": STRING,
        "variant_scorer": STRING,
        "track_name": STRING,
        "track_strand": STRING,
        "Assay title": STRING,
        "ontology_curie": STRING,
        "biosample_name": STRING,
        "record": pa.int64(),  # 0-based record in the input
        "alt_index": pa.int32(),  # 0-based ALT of the record
        "chrom": STRING,  # as the VCF names it
        "pos": pa.int64(),  # 1-based
        "ref": STRING,
        "alt": STRING,
        "site_pos": pa.int64(),  # 1-based; the base that the score is about, null for scores about none
        "track_index": pa.int32(),  # 0-based among the real tracks of the output
        "raw_score": pa.float32(),
        "quantile_score": pa.float32(),  # null in runs without background quantiles
    }
)
# The columns of a DataFrame, which has a row for what was not scored too.
FRAME_SCHEMA = pa.schema(
    [
        *[SCHEMA.field(name) for name in SCHEMA.names[:-2]],
        pa.field("status", STRING),  # OK, or why the allele has no score
        pa.field("reason", STRING),  # the same in words; null if the status is OK
        *[SCHEMA.field(name) for name in SCHEMA.names[-2:]],
    ]
)
# Names of release 0.1, and their current names. Files with the old names can be read in this release.
RENAMED = {
    "scorer": "variant_scorer",
    "junction_start": "junction_Start",
    "junction_end": "junction_End",
    "assay": "Assay title",
}
COLUMNS_OF_0_1 = (
    *("record", "alt_index", "chrom", "pos", "ref", "alt", "scorer", "output_type"),
    *("gene_id", "gene_name", "gene_type", "gene_strand", "junction_start", "junction_end", "site_pos"),
    *("track_index", "track_name", "track_strand", "ontology_curie", "biosample_name", "assay"),
    *("raw_score", "quantile_score"),
)
_NAME_COLUMNS = ("variant_id", "scored_interval", "status", "reason")  # different for almost every allele
_ALLELE_COLUMNS = ("record", "alt_index", "chrom", "pos", "ref", "alt", "variant_scorer", "output_type")
_GENE_COLUMNS = ("gene_id", "gene_name", "gene_type", "gene_strand")
_PLACE_COLUMNS = ("junction_Start", "junction_End", "site_pos")
_TRACK_COLUMNS = {  # and the attributes of Tracks that they hold
    "track_name": "name",
    "track_strand": "strand",
    "Assay title": "assay",
    "ontology_curie": "ontology_curie",
    "biosample_name": "biosample_name",
}
_NULLABLE = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype()}
_SCORE_COLUMNS = ("raw_score", "quantile_score")

_NULL = -1  # the code of a null string; also a junction's or a site's coordinate if there is none


class _Vocabulary:
    """Strings and their codes. The empty string is null."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._codes: dict[str, int] = {"": _NULL}

    def code(self, text: str) -> int:
        """Return the code of `text`, a new one if it has none."""
        code = self._codes.setdefault(text, len(self.texts))
        if code == len(self.texts):
            self.texts.append(text)
        return code

    def codes(self, texts: Sequence[str]) -> np.ndarray:
        """Return int32 (len(texts),)."""
        return np.array([self.code(str(text)) for text in texts], np.int32)

    def array(self, codes: np.ndarray) -> pa.DictionaryArray:
        """Return `codes` as a column whose dictionary holds what is used, in order of first appearance."""
        used = pa.array(codes, mask=codes == _NULL).dictionary_encode()
        texts = [self.texts[code] for code in used.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(used.indices, pa.array(texts, pa.string()))


class _TrackTable:
    """The names of all tracks of all outputs, one after the other."""

    def __init__(self, tracks: Mapping[Output, Tracks], vocabularies: Mapping[str, _Vocabulary]) -> None:
        self.sizes = {output: len(table) for output, table in tracks.items()}
        ends = np.cumsum(list(self.sizes.values()), dtype=np.int64).tolist()
        self.starts = dict(zip(tracks, [0, *ends], strict=False))
        self.index = np.array([*(i for size in self.sizes.values() for i in range(size)), _NULL], np.int32)
        self.codes = {  # the last place is that of no track
            column: vocabularies[column].codes(
                [*(text for table in tracks.values() for text in getattr(table, attribute)), ""]
            )
            for column, attribute in _TRACK_COLUMNS.items()
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Scores of one matrix; a row group takes it whole or in part."""

    names: tuple[str, ...]  # _NAME_COLUMNS
    allele: tuple[int, ...]  # numbers and codes of _ALLELE_COLUMNS
    genes: np.ndarray  # int32 (R, 4): codes of _GENE_COLUMNS
    places: np.ndarray  # int64 (R, 3): _PLACE_COLUMNS
    rows: np.ndarray  # int64 (N,): row of the matrix
    tracks: np.ndarray  # int64 (N,): place in the track table; -1 for no track
    values: np.ndarray  # float32 (N,)
    quantiles: np.ndarray  # float32 (N,); NaN in runs without quantiles

    def __len__(self) -> int:
        return len(self.values)

    def cut(self, start: int, end: int) -> "Segment":
        """Return the scores from `start` to `end`."""
        part = slice(start, end)
        names = ("rows", "tracks", "values", "quantiles")
        return dataclasses.replace(self, **{name: getattr(self, name)[part] for name in names})


class TidyRows:
    """Turn results into rows of the long table. Scores that are NaN have no row.

    Args:
        tracks: the tracks that the columns of each output's scores are about.
        quantiles: of the background that the scores are ranked in; None leaves the column null.
    """

    def __init__(self, tracks: Mapping[Output, Tracks], quantiles: Quantiles | None = None) -> None:
        self._quantiles = quantiles
        texts = [name for name in SCHEMA.names if SCHEMA.field(name).type == STRING]
        self._vocabularies = {name: _Vocabulary() for name in texts if name not in _NAME_COLUMNS}
        self._tracks = _TrackTable(tracks, self._vocabularies)
        self._gene_codes: dict[Gene | None, tuple[int, ...]] = {None: (_NULL,) * len(_GENE_COLUMNS)}

    def segments(self, result: RecordResult, *, with_unscored: bool = False) -> Iterator[Segment]:
        """Yield the scores of all ALTs of a record, matrix by matrix; if `with_unscored`, one row for an ALT without.

        Raises:
            PluginError: a matrix's shape is not that of its genes and tracks.
            CheckpointError: the quantiles are of other tracks.
        """
        for alt_index, allele in enumerate(result.alleles):
            has_rows = False
            for matrix in allele.matrices:
                segment = self._segment(result.record, alt_index, allele, matrix)
                has_rows |= len(segment) > 0
                yield segment
            if with_unscored and not has_rows:
                yield self._unscored(result.record, alt_index, allele)

    def table(self, segments: Sequence[Segment], schema: pa.Schema = SCHEMA) -> pa.Table:
        """Return the rows of the segments, at least one: N rows with the columns of `schema`."""
        counts = [len(segment) for segment in segments]
        tracks = np.concatenate([segment.tracks for segment in segments])
        offsets = np.cumsum([0, *(len(segment.genes) for segment in segments)])
        rows = np.concatenate(
            [segment.rows + start for segment, start in zip(segments, offsets, strict=False)]
        )
        genes = np.concatenate([segment.genes for segment in segments])
        places = np.concatenate([segment.places for segment in segments])

        numbers = {
            column: np.repeat([segment.allele[i] for segment in segments], counts)
            for i, column in enumerate(_ALLELE_COLUMNS)
        }
        numbers |= {column: genes[rows, i] for i, column in enumerate(_GENE_COLUMNS)}
        numbers |= {column: places[rows, i] for i, column in enumerate(_PLACE_COLUMNS)}
        numbers |= {column: self._tracks.codes[column][tracks] for column in _TRACK_COLUMNS}
        numbers["track_index"] = self._tracks.index[tracks]
        numbers["raw_score"] = np.concatenate([segment.values for segment in segments])
        numbers["quantile_score"] = np.concatenate([segment.quantiles for segment in segments])
        columns = {column: self._column(column, values) for column, values in numbers.items()}
        for i, column in enumerate(_NAME_COLUMNS):
            if column in schema.names:
                columns[column] = _names([segment.names[i] for segment in segments], counts)
        return pa.table(columns, schema=schema)

    def _segment(self, record: Record, alt_index: int, allele: AlleleResult, matrix: ScoreMatrix) -> Segment:
        expected = (len(matrix.genes), self._tracks.sizes.get(matrix.output, 0))
        if matrix.values.shape != expected:
            raise PluginError(
                f"scorer {matrix.scorer}\ngave scores of shape {matrix.values.shape}, expected {expected}: "
                f"its rows by the tracks of {matrix.output}"
            )
        rows, columns = np.nonzero(~np.isnan(matrix.values))
        return Segment(
            names=_names_of(record, allele),
            allele=self._allele(record, alt_index, allele.alt, matrix.scorer, matrix.output.value),
            genes=np.array([self._codes_of(gene) for gene in matrix.genes], np.int32).reshape(-1, 4),
            places=_places(matrix),
            rows=rows,
            tracks=columns + self._tracks.starts[matrix.output],
            values=matrix.values[rows, columns].astype(np.float32, copy=False),
            quantiles=self._rank(record.ref, allele.alt, matrix)[rows, columns],
        )

    def _unscored(self, record: Record, alt_index: int, allele: AlleleResult) -> Segment:
        """Return the one row of an allele without scores."""
        return Segment(
            names=_names_of(record, allele),
            allele=self._allele(record, alt_index, allele.alt, "", ""),
            genes=np.full((1, len(_GENE_COLUMNS)), _NULL, np.int32),
            places=np.full((1, len(_PLACE_COLUMNS)), _NULL, np.int64),
            rows=np.zeros(1, np.int64),
            tracks=np.full(1, _NULL, np.int64),
            values=np.full(1, np.nan, np.float32),
            quantiles=np.full(1, np.nan, np.float32),
        )

    def _allele(self, record: Record, alt_index: int, alt: str, scorer: str, output: str) -> tuple[int, ...]:
        """Return the numbers and codes of _ALLELE_COLUMNS."""
        texts = {"chrom": record.chrom, "ref": record.ref, "alt": alt}
        texts |= {"variant_scorer": scorer, "output_type": output}
        codes = {column: self._vocabularies[column].code(text) for column, text in texts.items()}
        numbers = codes | {"record": record.index, "alt_index": alt_index, "pos": record.pos1}
        return tuple(numbers[column] for column in _ALLELE_COLUMNS)

    def _rank(self, ref: str, alt: str, matrix: ScoreMatrix) -> np.ndarray:
        """Return float32 (R, T), the quantiles of a matrix's scores; NaN in runs without."""
        if self._quantiles is None:
            return np.broadcast_to(np.float32(np.nan), matrix.values.shape)
        return self._quantiles.rank_scores(kind_of(ref, alt), matrix.scorer, matrix.values)

    def _codes_of(self, gene: Gene | None) -> tuple[int, ...]:
        if gene is not None and gene not in self._gene_codes:
            texts = (gene.gene_id, gene.name, gene.type, gene.strand)
            codes = [self._vocabularies[c].code(t) for c, t in zip(_GENE_COLUMNS, texts, strict=True)]
            self._gene_codes[gene] = tuple(codes)
        return self._gene_codes[gene]

    def _column(self, name: str, values: np.ndarray) -> pa.Array:
        if name in self._vocabularies:
            return self._vocabularies[name].array(values)
        if name in _SCORE_COLUMNS:
            return pa.array(values, from_pandas=True)  # NaN becomes null
        mask = values == _NULL if name in (*_PLACE_COLUMNS, "track_index") else None
        return pa.array(values, SCHEMA.field(name).type, mask=mask)


def tidy_frame(
    results: Iterable[RecordResult], tracks: Mapping[Output, Tracks], quantiles: Quantiles | None
) -> pd.DataFrame:
    """Return results as a DataFrame with the columns of FRAME_SCHEMA; every ALT has at least one row.

    Texts are categorical, as pandas reads them from the Parquet file, and whole numbers are nullable integers.

    Raises:
        PluginError: a matrix's shape is not that of its genes and tracks.
        CheckpointError: the quantiles are of other tracks.
    """
    rows = TidyRows(tracks, quantiles)
    segments = [segment for result in results for segment in rows.segments(result, with_unscored=True)]
    table = rows.table(segments, FRAME_SCHEMA) if segments else FRAME_SCHEMA.empty_table()
    return to_frame(table)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a DataFrame whose whole numbers are nullable integers."""
    return table.to_pandas(types_mapper=_NULLABLE.get)


def _names_of(record: Record, allele: AlleleResult) -> tuple[str, ...]:
    """Return the values of _NAME_COLUMNS."""
    name = variant_id(record.chrom, record.pos1, record.ref, allele.alt)
    return name, _interval(allele.window), str(allele.status), allele.reason


def _interval(window: Window | None) -> str:
    """Return a window as `str(alphagenome.data.genome.Interval)` has it: 0-based half-open; "" for none."""
    return "" if window is None else f"{window.chrom}:{window.start0}-{window.end0}:."


def _names(texts: Sequence[str], counts: Sequence[int]) -> pa.Array:
    """Return each text `counts` times, as a column of strings."""
    vocabulary = _Vocabulary()
    return vocabulary.array(np.repeat(vocabulary.codes(texts), counts))


def _places(matrix: ScoreMatrix) -> np.ndarray:
    """Return int64 (R, 3): the columns _PLACE_COLUMNS, _NULL if there is none."""
    places = np.full((len(matrix.genes), len(_PLACE_COLUMNS)), _NULL, np.int64)
    if matrix.junctions is not None:
        places[:, :2] = matrix.junctions
    if matrix.positions is not None:
        places[:, 2] = np.where(matrix.positions < 0, _NULL, matrix.positions + 1)
    return places
