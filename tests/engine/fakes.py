"""A fake engine without a network, and an iterator that counts records."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tests.builders import tiny_tracks
from vepscore.contract import ScoreMatrix
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.engine.scoring import AlleleScores, NotFiniteError
from vepscore.io.records import Record
from vepscore.model.allele_plan import ReadyAllele
from vepscore.outputs import Output


class FakeEngine:
    """Returns the length of an allele's ALT as its score, and records its batches."""

    def __init__(self, batch: int = 1, fails: str | None = None) -> None:
        self.batch = batch
        self.scorers = tuple(load_scorers(["ATAC"]))
        self.tracks = tiny_tracks()
        self.batches: list[list[str]] = []
        self._fails = fails  # the ALT that gives no finite numbers

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        assert 0 < len(alleles) <= self.batch
        self.batches.append([allele.alt for allele in alleles])
        return [self._score(allele) for allele in alleles]

    def _score(self, allele: ReadyAllele) -> AlleleScores:
        if allele.alt == self._fails:
            return NotFiniteError("ATAC: not finite")
        values = np.array([[0, len(allele.alt), 0]], np.float32)
        return [ScoreMatrix(scorer="ATAC", output=Output.ATAC, values=values, genes=(None,))]


class Counting:
    """Yields records, and counts them."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.taken = 0
        self._records = iter(records)

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.taken += 1
            yield record
