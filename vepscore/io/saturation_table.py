"""The scores of every substitution of a region, as a long table and as a matrix.

Axis: L bases of the region.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from vepscore.genome.regions import variant_id
from vepscore.io.fields import COMPOSITE_FIELD, COMPOSITE_GENE_FIELD
from vepscore.io.long_table import ParquetWriter, table_of
from vepscore.io.output_file import OutputFile, WriterContext
from vepscore.io.results import AlleleResult, Detail, RecordResult, ResultWriter
from vepscore.io.tidy import STRING

BASES = "ACGT"

SCHEMA = pa.schema(
    {
        "variant_id": STRING,
        "gene_id": STRING,  # null if the score is about no gene, and for the composite
        "gene_name": STRING,
        "variant_scorer": STRING,  # or VS_SPLICE, the composite
        "track_name": STRING,  # of the track largest in size; null for the composite
        "biosample_name": STRING,
        "chrom": STRING,  # as the reference names it
        "pos": pa.int64(),  # 1-based
        "ref": STRING,
        "alt": STRING,
        "raw_score": pa.float32(),
    }
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SaturationMatrix:
    """The scores of every substitution of a region by one scorer."""

    chrom: str
    start0: int  # of the region, 0-based
    scorer: str
    reference: str  # (L,): the region's bases; "N" where none is known
    scores: np.ndarray  # float32 (4, L), by BASES; NaN for the reference's base, and what was not scored

    @property
    def mean_effect(self) -> np.ndarray:
        """float (L,): the mean over the substitutions of a base; 0 where none was scored."""
        known = ~np.isnan(self.scores)
        return np.where(known, self.scores, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def entries_of(allele: AlleleResult) -> Iterator[Detail]:
    """Yield the scores of an allele: one per scorer and gene, then the composite if there is one."""
    yield from allele.details
    if COMPOSITE_FIELD in allele.fields:
        yield Detail(
            scorer=COMPOSITE_FIELD,
            score=float(allele.fields[COMPOSITE_FIELD]),
            symbol=str(allele.fields.get(COMPOSITE_GENE_FIELD, "")),
        )


def largest_score(allele: AlleleResult, scorer: str) -> float:
    """Return the scorer's score of an allele that is largest in size, over genes and tracks; NaN if there is none."""
    scores = [entry.score for entry in entries_of(allele) if entry.scorer == scorer]
    return max(scores, key=abs, default=math.nan)


class SaturationTable(OutputFile):
    """The table of `vepscore ism`."""

    name = "saturation_table"
    suffixes = (".parquet",)

    def open(self, context: WriterContext) -> ResultWriter:
        return SaturationWriter(self.path, context.metadata.to_header())


class SaturationWriter(ParquetWriter, ResultWriter):
    """Write the long table: one row per substitution, scorer and gene."""

    def __init__(self, path: str | Path, provenance: Mapping[str, str]) -> None:
        super().__init__(path, SCHEMA, provenance)
        self._rows: list[tuple] = []

    def write(self, result: RecordResult) -> None:
        """Add the scores of a record's ALTs."""
        record = result.record
        for allele in result.alleles:
            for entry in entries_of(allele):
                place = (record.chrom, record.pos1, record.ref, allele.alt)
                names = (entry.gene_id, entry.symbol, entry.scorer, entry.track, entry.biosample)
                texts = (str(name) or None for name in names)
                self._rows.append((variant_id(*place), *texts, *place, entry.score))

    def _close(self) -> None:
        self._file.write_table(table_of(self._rows, SCHEMA))
        super()._close()
