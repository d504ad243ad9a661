"""The long table: one row per allele, scorer, gene, junction or site, and track, in Parquet.

An allele brings some 30,000 rows, so a matrix of scores is kept as it came, with small codes for its names,
and becomes columns only when a row group is full. Every row group but the last has ROW_GROUP_ROWS rows and
its own dictionaries, in order of first appearance: the bytes depend on the rows and the provenance alone.

Axis letters: N rows of the table, R rows of a matrix (genes, junctions or sites), T tracks of an output.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vepscore.contract import ScoreMatrix
from vepscore.errors import PluginError
from vepscore.genome.alleles import kind_of
from vepscore.genome.annotation import Gene
from vepscore.io.atomic import StagedFile, StagedWriter, writing
from vepscore.io.quantiles import Quantiles
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.outputs import Output, Tracks

ROW_GROUP_ROWS = 1_000_000

STRING = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {
        "record": pa.int64(),  # 0-based record in the input
        "alt_index": pa.int32(),  # 0-based ALT of the record
        "chrom": STRING,  # as the VCF names it
        "pos": pa.int64(),  # 1-based
        "ref": STRING,
        "alt": STRING,
        "scorer": STRING,
        "output_type": STRING,
        "gene_id": STRING,
        "gene_name": STRING,
        "gene_type": STRING,
        "gene_strand": STRING,
        "junction_start": pa.int64(),  # first base of the intron, 0-based
        "junction_end": pa.int64(),  # exclusive
        "site_pos": pa.int64(),  # 1-based; the base that the score is about, null for scores about none
        "track_index": pa.int32(),  # 0-based among the real tracks of the output
        "track_name": STRING,
        "track_strand": STRING,
        "ontology_curie": STRING,
        "biosample_name": STRING,
        "assay": STRING,
        "raw_score": pa.float32(),
        "quantile_score": pa.float32(),  # null in runs without background quantiles
    }
)
ALLELE_COLUMNS = ("record", "alt_index", "chrom", "pos", "ref", "alt", "scorer", "output_type")
GENE_COLUMNS = ("gene_id", "gene_name", "gene_type", "gene_strand")
PLACE_COLUMNS = ("junction_start", "junction_end", "site_pos")
TRACK_COLUMNS = {  # and the attributes of Tracks that they hold
    "track_name": "name",
    "track_strand": "strand",
    "ontology_curie": "ontology_curie",
    "biosample_name": "biosample_name",
    "assay": "assay",
}

NULL = -1  # the code of a null string; also a junction's or a site's coordinate where there is none
_NO_QUANTILES = np.empty(0, np.float32)


class Vocabulary:
    """Strings and their codes. The empty string is null."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._codes: dict[str, int] = {"": NULL}

    def code(self, text: str) -> int:
        """The code of `text`, a new one where it has none."""
        code = self._codes.setdefault(text, len(self.texts))
        if code == len(self.texts):
            self.texts.append(text)
        return code

    def codes(self, texts: Sequence[str]) -> np.ndarray:
        """int32 (len(texts),)."""
        return np.array([self.code(str(text)) for text in texts], np.int32)

    def array(self, codes: np.ndarray) -> pa.DictionaryArray:
        """`codes` as a column whose dictionary holds what is used, in order of first appearance."""
        first = np.full(len(self.texts) + 1, len(codes))  # the last place takes the nulls
        first[codes[::-1]] = np.arange(len(codes))[::-1]
        used = np.flatnonzero(first[:-1] < len(codes))
        used = used[np.argsort(first[used])]
        rank = np.zeros(len(self.texts) + 1, np.int32)
        rank[used] = np.arange(len(used))
        indices = pa.array(rank[codes], mask=codes == NULL)
        return pa.DictionaryArray.from_arrays(indices, pa.array([self.texts[i] for i in used], pa.string()))


class _TrackTable:
    """The names of all tracks of all outputs, one after the other."""

    def __init__(self, tracks: Mapping[Output, Tracks], vocabularies: Mapping[str, Vocabulary]) -> None:
        self.sizes = {output: len(table) for output, table in tracks.items()}
        ends = np.cumsum(list(self.sizes.values()), dtype=np.int64).tolist()
        self.starts = dict(zip(tracks, [0, *ends], strict=False))
        self.index = np.array([i for size in self.sizes.values() for i in range(size)], np.int32)
        self.codes = {
            column: vocabularies[column].codes(
                [text for table in tracks.values() for text in getattr(table, attribute)]
            )
            for column, attribute in TRACK_COLUMNS.items()
        }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """Scores of one matrix that go into one row group."""

    allele: tuple[int, ...]  # numbers and codes of ALLELE_COLUMNS
    genes: np.ndarray  # int32 (R, 4): codes of GENE_COLUMNS
    places: np.ndarray  # int64 (R, 3): PLACE_COLUMNS
    rows: np.ndarray  # int64 (N,): row of the matrix
    tracks: np.ndarray  # int64 (N,): place in the track table
    values: np.ndarray  # float32 (N,)
    quantiles: np.ndarray  # float32 (N,); empty in runs without quantiles

    def cut(self, start: int, end: int) -> "_Piece":
        """The scores from `start` to `end`."""
        part = slice(start, end)
        names = ("rows", "tracks", "values", "quantiles")
        return dataclasses.replace(self, **{name: getattr(self, name)[part] for name in names})


class LongTableWriter(StagedWriter):
    """Writes the long table. Scores that are NaN have no row.

    Args:
        tracks: the tracks that the columns of each output's scores are about.
        provenance: the file's key-value metadata.
        quantiles: of the background that the scores are ranked in; None leaves the column null.
    """

    def __init__(
        self,
        path: str | Path,
        tracks: Mapping[Output, Tracks],
        provenance: Mapping[str, str],
        quantiles: Quantiles | None = None,
    ) -> None:
        super().__init__(StagedFile(path), path)
        self._provenance = provenance
        self._quantiles = quantiles
        self._vocabularies = {
            name: Vocabulary() for name in SCHEMA.names if SCHEMA.field(name).type == STRING
        }
        self._tracks = _TrackTable(tracks, self._vocabularies)
        self._gene_codes: dict[Gene | None, tuple[int, ...]] = {None: (NULL,) * len(GENE_COLUMNS)}
        self._pieces: list[_Piece] = []
        self._buffered = 0

    def write(self, result: RecordResult) -> None:
        """Adds the scores of all ALTs of a record.

        Raises:
            PluginError: a block's shape is not that of its genes and tracks.
            CheckpointError: the quantiles are of other tracks.
            OutputError: the file cannot be written.
        """
        for alt_index, allele in enumerate(result.alleles):
            for matrix in allele.matrices:
                self._add(self._piece(result, alt_index, allele, matrix))

    def _piece(
        self, result: RecordResult, alt_index: int, allele: AlleleResult, matrix: ScoreMatrix
    ) -> _Piece:
        expected = (len(matrix.genes), self._tracks.sizes.get(matrix.output, 0))
        if matrix.values.shape != expected:
            raise PluginError(
                f"scorer {matrix.scorer}\ngave scores of shape {matrix.values.shape}, expected {expected}: "
                f"its rows by the tracks of {matrix.output}"
            )
        record = result.record
        rows, columns = np.nonzero(~np.isnan(matrix.values))
        texts = {"chrom": record.chrom, "ref": record.ref, "alt": allele.alt}
        texts |= {"scorer": matrix.scorer, "output_type": matrix.output.value}
        codes = {column: self._vocabularies[column].code(text) for column, text in texts.items()}
        numbers = codes | {"record": record.index, "alt_index": alt_index, "pos": record.pos1}
        return _Piece(
            allele=tuple(numbers[column] for column in ALLELE_COLUMNS),
            genes=np.array([self._codes_of(gene) for gene in matrix.genes], np.int32).reshape(-1, 4),
            places=_places(matrix),
            rows=rows,
            tracks=columns + self._tracks.starts[matrix.output],
            values=matrix.values[rows, columns].astype(np.float32, copy=False),
            quantiles=self._rank(record.ref, allele.alt, matrix)[rows, columns]
            if self._quantiles
            else _NO_QUANTILES,
        )

    def _rank(self, ref: str, alt: str, matrix: ScoreMatrix) -> np.ndarray:
        return self._quantiles.rank_scores(kind_of(ref, alt), matrix.scorer, matrix.values)

    def _codes_of(self, gene: Gene | None) -> tuple[int, ...]:
        codes = self._gene_codes.get(gene)
        if codes is None:
            texts = (gene.gene_id, gene.name, gene.type, gene.strand)
            codes = tuple(self._vocabularies[c].code(t) for c, t in zip(GENE_COLUMNS, texts, strict=True))
            self._gene_codes[gene] = codes
        return codes

    def _add(self, piece: _Piece) -> None:
        while (room := ROW_GROUP_ROWS - self._buffered) <= len(piece.values):
            self._pieces.append(piece.cut(0, room))
            self._flush()
            piece = piece.cut(room, len(piece.values))
        if len(piece.values):
            self._pieces.append(piece)
            self._buffered += len(piece.values)

    def _flush(self) -> None:
        columns = self._columns(self._pieces)
        self._pieces, self._buffered = [], 0
        with writing(self.name):
            self._file.write_table(pa.table(columns, schema=self._file.schema), ROW_GROUP_ROWS)

    def _columns(self, pieces: list[_Piece]) -> dict[str, pa.Array]:
        """The columns of one row group, N rows."""
        counts = [len(piece.values) for piece in pieces]
        tracks = np.concatenate([piece.tracks for piece in pieces])
        offsets = np.cumsum([0, *(len(piece.genes) for piece in pieces)])
        rows = np.concatenate([piece.rows + start for piece, start in zip(pieces, offsets, strict=False)])
        genes = np.concatenate([piece.genes for piece in pieces])
        places = np.concatenate([piece.places for piece in pieces])

        numbers = {
            column: np.repeat([piece.allele[i] for piece in pieces], counts)
            for i, column in enumerate(ALLELE_COLUMNS)
        }
        numbers |= {column: genes[rows, i] for i, column in enumerate(GENE_COLUMNS)}
        numbers |= {column: places[rows, i] for i, column in enumerate(PLACE_COLUMNS)}
        numbers |= {column: self._tracks.codes[column][tracks] for column in TRACK_COLUMNS}
        numbers["track_index"] = self._tracks.index[tracks]
        numbers["raw_score"] = np.concatenate([piece.values for piece in pieces])
        columns = {column: self._column(column, values) for column, values in numbers.items()}
        return columns | {"quantile_score": self._quantile_column(pieces, len(tracks))}

    def _quantile_column(self, pieces: list[_Piece], rows: int) -> pa.Array:
        if self._quantiles is None:
            return pa.nulls(rows, pa.float32())
        quantiles = np.concatenate([piece.quantiles for piece in pieces])
        return pa.array(quantiles, from_pandas=True)  # NaN becomes null

    def _column(self, name: str, values: np.ndarray) -> pa.Array:
        if name in self._vocabularies:
            return self._vocabularies[name].array(values)
        mask = values == NULL if name in PLACE_COLUMNS else None
        return pa.array(values, SCHEMA.field(name).type, mask=mask)

    def _open(self) -> None:
        self._file = open_parquet(self._target.temporary, SCHEMA, self._provenance)

    def _close(self) -> None:
        if self._pieces:
            self._flush()
        self._file.close()


def _places(matrix: ScoreMatrix) -> np.ndarray:
    """int64 (R, 3): the columns PLACE_COLUMNS, NULL where there is none."""
    places = np.full((len(matrix.genes), len(PLACE_COLUMNS)), NULL, np.int64)
    if matrix.junctions is not None:
        places[:, :2] = matrix.junctions
    if matrix.positions is not None:
        places[:, 2] = np.where(matrix.positions < 0, NULL, matrix.positions + 1)
    return places


def open_parquet(path: Path, schema: pa.Schema, provenance: Mapping[str, str]) -> pq.ParquetWriter:
    """A Parquet file compressed with zstd, `provenance` in its metadata, dictionaries for all but scores."""
    floats = {field.name for field in schema if pa.types.is_floating(field.type)}
    return pq.ParquetWriter(
        path,
        schema.with_metadata({key: value.encode("utf-8", "replace") for key, value in provenance.items()}),
        compression="zstd",
        use_dictionary=[name for name in schema.names if name not in floats],
    )
