"""Score alleles again in float32 if a network of lower precision returned numbers that are not finite."""

import logging
from collections.abc import Callable, Sequence

from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.scoring import AlleleScores, Engine, NotFiniteError

log = logging.getLogger(__name__)


class RetryingEngine:
    """An engine with a fallback in float32, which is created when it is first needed.

    Args:
        engine: scores all alleles.
        create_exact: creates the fallback; called at most once.
    """

    def __init__(self, engine: Engine, create_exact: Callable[[], Engine]) -> None:
        self.scorers, self.tracks, self.batch = engine.scorers, engine.tracks, engine.batch
        self._engine = engine
        self._create_exact = create_exact
        self._exact: Engine | None = None

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """Return the score matrices of each allele; an error if neither engine returns finite numbers."""
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
