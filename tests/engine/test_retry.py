"""What is not finite in bfloat16 is scored again in float32, and only that."""

from collections.abc import Sequence
from types import SimpleNamespace

import jax

from tests.builders import make_records, tiny_tracks, vcf_row
from vepscore.contract import ScoreBlock
from vepscore.engine.intake import Intake, PreparedAllele
from vepscore.engine.parallel import ParallelEngine
from vepscore.engine.retry import RetryingEngine
from vepscore.engine.scoring import NotFiniteError


class Failing:
    """Gives no finite numbers for some ALTs; the blocks of the others are its name."""

    def __init__(self, name: str, *fails: str) -> None:
        self.scorers, self.tracks, self.batch = (), tiny_tracks(), 2
        self.seen: list[str] = []
        self.precisions: set[str | None] = set()  # of products, while it scored
        self._name, self._fails = name, fails

    def score(self, alleles: Sequence[PreparedAllele]) -> list[list[ScoreBlock] | NotFiniteError]:
        self.seen += [allele.alt for allele in alleles]
        self.precisions.add(jax.config.jax_default_matmul_precision)
        return [NotFiniteError(self._name) if a.alt in self._fails else [self._name] for a in alleles]


def test_failed_alleles_are_scored_once_more(intake: Intake) -> None:
    (record,) = make_records(vcf_row("chr1", 16_000, 1, "CA", "CC", "CG", "CT"))
    alleles = list(intake.prepare(record))
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


def test_exact_products_are_for_the_second_try_alone(intake: Intake) -> None:
    """Otherwise the scores of what follows would hang on what failed before."""
    (record,) = make_records(vcf_row("chr1", 16_000, 1, "CA", "CC", "CG"))
    rough, exact = Failing("rough", "CC"), Failing("exact")
    before = jax.config.jax_default_matmul_precision
    with jax.default_matmul_precision("default"):
        RetryingEngine(rough, lambda: exact).score(list(intake.prepare(record)))
        rough.score([])
    assert (rough.precisions, exact.precisions) == ({"default"}, {"highest"})
    assert jax.config.jax_default_matmul_precision == before


def test_exact_products_are_had_on_several_devices_too(intake: Intake) -> None:
    """JAX has the precision for each thread, and each device has a thread."""
    records = make_records(vcf_row("chr1", 16_000, 1, "CA", "CC"), vcf_row("chr1", 16_100, 1, "CA", "CC"))
    alleles = [allele for record in records for allele in intake.prepare(record)]
    rough, exact = Failing("rough", "CC"), [Failing("exact"), Failing("exact")]
    RetryingEngine(rough, lambda: ParallelEngine(exact)).score(alleles)
    assert exact[0].precisions | exact[1].precisions == {"highest"}
