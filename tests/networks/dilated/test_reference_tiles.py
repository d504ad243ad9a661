"""Alleles that are computed on the activations of their neighbors equal those that are computed whole."""

import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from flax import nnx

from tests.networks.dilated.small import MARGIN_BP, SPLICEAI, encode, random_codes, randomize
from vepscore.genome.windows import reverse_complement
from vepscore.networks.dilated import reference_tiles
from vepscore.networks.dilated.reference_tiles import ReferenceTiles
from vepscore.networks.dilated.splice_networks import DilatedNetwork, SpliceAI
from vepscore.networks.dilated.strand_predictor import StrandPredictor, Stretch

SIZE, SLACK = 75, 9  # positions predicted, and the most by which an allele is longer or shorter
GENOME = random_codes(6_000, seed=1)


class Case(NamedTuple):
    """An allele of the genome: the first replaced base, their number and the bases in their place."""

    start0: int
    reference_bp: int = 1
    alternate: tuple[int, ...] = (2,)
    strand: str = "+"


# An SNV, an MNV, insertions and deletions.
KINDS = [(1, (2,)), (3, (0, 3, 1)), (1, (1, 2, 3, 0, 0, 1)), (8, (3,)), (7, (2, 2))]


def stretch_of(case: Case, genome: np.ndarray = GENOME) -> Stretch:
    """Return the stretch of an allele in the middle of the positions that are predicted."""
    first0 = case.start0 - SIZE // 2 - MARGIN_BP - SLACK
    width = SIZE + 2 * MARGIN_BP
    after = genome[case.start0 + case.reference_bp :]
    changed = np.concatenate([genome[: case.start0], np.array(case.alternate, np.uint8), after])
    return Stretch(
        reference=genome[first0 : first0 + width + 2 * SLACK],
        alternate=changed[first0 + SLACK :][:width],
        first0=first0,
        start=case.start0 - first0 - SLACK,
        reference_bp=case.reference_bp,
        alternate_bp=len(case.alternate),
        slack=SLACK,
        strand=case.strand,
    )


Predict = Callable[[np.ndarray, str], np.ndarray]


@pytest.fixture(scope="module")
def network() -> SpliceAI:
    return randomize(SpliceAI(SPLICEAI, rngs=nnx.Rngs(0)))


@pytest.fixture(scope="module")
def predictor(network: SpliceAI) -> StrandPredictor:
    return StrandPredictor(network)


def whole(network: DilatedNetwork) -> Predict:
    """Return a function that predicts one strand of a window without what neighbors know."""
    embed = jax.jit(functools.partial(network.embed, strands="+"))
    output = next(iter(network.config.heads))

    def predict(codes: np.ndarray, strand: str) -> np.ndarray:
        seen = codes if strand == "+" else reverse_complement(codes)
        values = np.asarray(network.predict(output, embed(encode(seen)[None])[0]))
        return values if strand == "+" else values[::-1]

    return predict


def check(
    predictor: StrandPredictor, predict: Predict, cases: Iterable[Case], genome: np.ndarray = GENOME
) -> None:
    for case in cases:
        stretch = stretch_of(case, genome)
        reference, alternate = predictor.predict(stretch)
        expected = predict(stretch.reference[SLACK:-SLACK], case.strand)
        np.testing.assert_allclose(reference, expected, atol=1e-5, err_msg=str(case))
        expected = predict(stretch.alternate, case.strand)
        np.testing.assert_allclose(alternate, expected, atol=1e-5, err_msg=str(case))


@pytest.mark.parametrize("strand", ["+", "-"])
def test_neighbors_equal_whole_windows(network: SpliceAI, predictor: StrandPredictor, strand: str) -> None:
    """Alleles of all kinds, on and within tiles, at one place, near each other, far away, and back again."""
    places = [500, 500, 511, 512, 900, 1100, 3000, 2950, 1024, 5000]
    cases = [Case(place, *kind, strand) for place in places for kind in KINDS]
    check(predictor, whole(network), cases)


def test_other_sequence_at_the_same_positions_is_not_shared(
    network: SpliceAI, predictor: StrandPredictor
) -> None:
    """Of two genes that overlap, each has N beyond itself; they take turns."""
    masked = GENOME.copy()
    masked[:1520] = 4
    predict = whole(network)
    for place in (1500, 1530, 1560):
        check(predictor, predict, [Case(place)])
        check(predictor, predict, [Case(place)], masked)


def test_values_do_not_depend_on_what_was_scored_before(
    network: SpliceAI, predictor: StrandPredictor
) -> None:
    predictor.predict(stretch_of(Case(2000)))
    shared = predictor.predict(stretch_of(Case(2130)))
    alone = StrandPredictor(network).predict(stretch_of(Case(2130)))
    for one, other in zip(shared, alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_computed_twice(predictor: StrandPredictor, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[int] = []
    claim = ReferenceTiles._claim

    def count(*args: Any) -> Any:
        tiles, counts = claim(*args)
        computed.append(int(counts.sum()))
        return tiles, counts

    monkeypatch.setattr(ReferenceTiles, "_claim", count)
    for case in (Case(4000), Case(4000, 1, (0,)), Case(4030), Case(200)):
        predictor.predict(stretch_of(case))
    new, same_place, beside, elsewhere = computed
    assert same_place == 0
    assert 0 < beside < new
    assert elsewhere > beside


def test_nothing_is_known_after_an_error(network: SpliceAI, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is out of memory tries again; it must not read tiles that were never computed."""
    predictor = StrandPredictor(network)
    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(reference_tiles, "_compiled", lambda *_: raise_memory_error())
        predictor.predict(stretch_of(Case(3500)))
    check(predictor, whole(network), [Case(3500)])


def raise_memory_error() -> None:
    raise MemoryError


def test_nothing_is_compiled_for_another_allele(
    predictor: StrandPredictor, caplog: pytest.LogCaptureFixture
) -> None:
    predictor.predict(stretch_of(Case(700)))
    with jax.log_compiles(), caplog.at_level(logging.WARNING):
        for kind in KINDS:
            predictor.predict(stretch_of(Case(800, *kind)))
    assert "Compiling" not in caplog.text


def test_memory_is_used_again(network: SpliceAI) -> None:
    """Far from one another, alleles share nothing: no more than a few stretches are kept."""
    predictor = StrandPredictor(network)
    for place in range(200, 5800, 700):
        predictor.predict(stretch_of(Case(place)))
    assert len(predictor._kept) == 3
