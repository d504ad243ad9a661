"""The results of a scored record: the input of all writers."""

import abc
import dataclasses
import math
from collections.abc import Mapping

from vepscore.contract import ScoreMatrix
from vepscore.genome.alleles import Status
from vepscore.genome.windows import Window
from vepscore.io.fields import VALUE_FIELD_IDS
from vepscore.io.records import Record
from vepscore.io.staged_writer import StagedWriter

_NO_FIELDS: Mapping[str, float | str] = {}  # shared by all: millions of alleles may have none


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Detail:
    """One entry of the INFO field VS: a scorer's score for one gene, or for one site of it."""

    scorer: str
    score: float
    gene_id: str = ""  # "" if the score is about no gene
    symbol: str = ""  # the gene's name
    track: str = ""  # the one with the score largest in size; for a site, its kind and 1-based position
    biosample: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlleleResult:
    """The result of one ALT."""

    alt: str  # as it stands in the VCF
    status: Status
    reason: str = ""  # why the status is not OK, or why a published program gives no scores, in words
    n_fraction: float = math.nan  # fraction of the window that is N; NaN if there is no window
    window: Window | None = None
    fields: Mapping[str, float | str] = dataclasses.field(default_factory=lambda: _NO_FIELDS)  # by INFO key
    details: tuple[Detail, ...] = ()
    entries: tuple[str, ...] = ()  # what the network's published program prints; see `ScoreMatrix.entries`
    matrices: tuple[ScoreMatrix, ...] = ()

    def __post_init__(self) -> None:
        if self.fields and not self.fields.keys() <= VALUE_FIELD_IDS:
            raise ValueError(f"not value fields: {sorted(self.fields.keys() - VALUE_FIELD_IDS)}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RecordResult:
    """A record with the results of its ALTs, in their order."""

    record: Record
    alleles: tuple[AlleleResult, ...]  # as many as the record has ALTs

    def __post_init__(self) -> None:
        if len(self.alleles) != len(self.record.alts):
            raise ValueError(f"{len(self.alleles)} results for {len(self.record.alts)} ALTs")


class ResultWriter(StagedWriter, abc.ABC):
    """Writes the results of records, in their order, to one output."""

    @abc.abstractmethod
    def write(self, result: RecordResult) -> None:
        """Write the results of one record.

        Raises:
            OutputError: the output cannot be written.
        """
