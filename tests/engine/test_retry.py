"""Alleles without finite scores in bfloat16 are scored again in float32, and no others."""

from collections.abc import Sequence
from types import SimpleNamespace

from tests.builders import make_records, tiny_tracks, vcf_row
from vepscore.engine.preparer import AllelePreparer
from vepscore.engine.scoring import AlleleScores, NotFiniteError
from vepscore.engine.session import RetryingEngine
from vepscore.model.allele_plan import ReadyAllele


class Failing:
    """Fails for some ALTs, and returns its name in place of the matrices of others."""

    def __init__(self, name: str, *fails: str) -> None:
        self.scorers, self.tracks, self.batch = (), tiny_tracks(), 2
        self.seen: list[str] = []
        self._name, self._fails = name, fails

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        self.seen += [allele.alt for allele in alleles]
        return [NotFiniteError(self._name) if a.alt in self._fails else [self._name] for a in alleles]


def test_failed_alleles_are_scored_once_more(preparer: AllelePreparer) -> None:
    (record,) = make_records(vcf_row("chr1", 16_000, 1, "CA", "CC", "CG", "CT"))
    alleles = list(preparer.prepare(record))
    rough, exact = Failing("rough", "CC", "CT"), Failing("exact", "CT")
    opened = SimpleNamespace(times=0)

    def create_exact() -> Failing:
        opened.times += 1
        return exact

    engine = RetryingEngine(rough, create_exact)
    assert engine.batch == 2 and engine.tracks is rough.tracks
    assert engine.score(alleles[:1]) == [["rough"]] and opened.times == 0
    first, second, third, fourth = engine.score(alleles)
    assert (first, second, third) == (["rough"], ["exact"], ["rough"])
    assert isinstance(fourth, NotFiniteError) and str(fourth) == "exact"
    assert (exact.seen, opened.times) == (["CC", "CT"], 1)
