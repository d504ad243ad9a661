"""A second try in float32 for what a less exact network gave no finite numbers for."""

import logging
from collections.abc import Callable, Sequence

from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.scoring import AlleleScores, Engine, NotFiniteError

log = logging.getLogger(__name__)


class RetryingEngine:
    """An engine, and one in float32 that is opened when it is first needed.

    Args:
        engine: scores all alleles.
        create_exact: the other one; called once at most.
    """

    def __init__(self, engine: Engine, create_exact: Callable[[], Engine]) -> None:
        self.scorers, self.tracks, self.batch = engine.scorers, engine.tracks, engine.batch
        self._engine = engine
        self._create_exact = create_exact
        self._exact: Engine | None = None

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """The matrices of each allele; an error where neither engine has finite numbers."""
        results = self._engine.score(alleles)
        return [
            self._score_exactly(allele) if isinstance(result, NotFiniteError) else result
            for allele, result in zip(alleles, results, strict=True)
        ]

    def _score_exactly(self, allele: ReadyAllele) -> AlleleScores:
        site = allele.site.allele
        log.info("%s:%d %s>%s is scored again in float32", site.chrom, site.pos0 + 1, site.ref, site.alt)
        if self._exact is None:
            self._exact = self._create_exact()
        (result,) = self._exact.score([allele])
        return result
