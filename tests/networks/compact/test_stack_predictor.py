"""The predictor of the stack: as whole windows are embedded, whatever was read before, and no more than is needed."""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import create_random
from tests.networks.compact.compact_objects import random_codes
from vepscore.contract import Footprint, Site
from vepscore.genome.alignment import AlignedPositions, align_to_both
from vepscore.genome.alleles import Allele
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.windows import UNKNOWN, Window, reverse_complement
from vepscore.model.allele_plan import AllelePlan, Group, ReadyAllele, Request
from vepscore.model.network import one_hot
from vepscore.networks.compact import stack_predictor
from vepscore.networks.compact.compact_config import SpliceStackConfig
from vepscore.networks.compact.splice_stack import SpliceStack
from vepscore.networks.compact.stack_layers import StackLayers
from vepscore.networks.compact.stack_predictor import StackPredictor
from vepscore.scorers.splicing import SPLICE_SITES

CONFIG = SpliceStackConfig(channels=4, widths=(5, 3, 3, 3), dilations=(1, 8, 8, 64), stem_width=5)
WIDTH_BP = 2048
GENOME = random_codes(16_000)
GENOME[6000:7500] = UNKNOWN
WHOLE = np.arange(WIDTH_BP, dtype=np.int32)


@pytest.fixture(scope="module")
def stack() -> SpliceStack:
    return create_random(lambda: SpliceStack(CONFIG, rngs=nnx.Rngs(0)))


def plan(
    start0: int, pos0: int, bases: Sequence[int], read: np.ndarray = WHOLE, width_bp: int = WIDTH_BP
) -> AllelePlan:
    """Return a plan that reads these positions of both alleles; `bases` are those of ALT, in the place of one base."""
    window = Window(chrom="1", start0=start0, end0=start0 + width_bp)
    allele = Allele(chrom="1", pos0=pos0, ref="A", alt="C" * len(bases))
    sequence = np.concatenate([GENOME[:pos0], np.array(bases, np.uint8), GENOME[pos0 + 1 :]])
    shifts = [0, allele.inserted_bp] if allele.inserted_bp else [0]
    site = Site(allele=allele, window=window, indel_anchor=IndelAnchor.BOTH)
    both = len(shifts) == 2
    positions = align_to_both(read, 1, allele, window) if both else AlignedPositions.unchanged(read)
    ready = ReadyAllele(
        alt=allele.alt,
        n_fraction=0.0,
        site=site,
        reference_codes=GENOME[start0:][:width_bp],
        alternates=tuple(sequence[start0 + shift :][:width_bp] for shift in shifts),
    )
    group = Group(positions=positions, resolution_bp=1, requests=())
    return AllelePlan(allele=ready, scorers=(), groups=(group,))


PLANS = (
    plan(3000, 4020, [1]),
    plan(3011, 4030, [2], WHOLE[300:1500]),
    plan(3500, 4500, [2, 1, 3, 0, 0]),  # an insertion, in two windows
    plan(5000, 6020, [0]),  # beside unknown bases
    plan(5000, 5003, [3]),  # at the window's start
    plan(12_000, 13_000, [1]),
)


def on_strands(each: AllelePlan, *strands: str | None) -> AllelePlan:
    """Return the plan with scorers that read these strands."""
    (group,) = each.groups
    requests = tuple(
        Request(
            scorer=SPLICE_SITES,
            footprint=Footprint(positions=group.positions.reference, masks={}, strand=strand),
        )
        for strand in strands
    )
    return dataclasses.replace(each, groups=(dataclasses.replace(group, requests=requests),))


def windows_of(each: AllelePlan) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the bases of each window of a plan, the reference's first, and the positions that are read in it."""
    (group,), allele = each.groups, each.allele
    read = [group.alternate_bins(number, WIDTH_BP) for number in range(len(allele.alternates))]
    return list(
        zip((allele.reference_codes, *allele.alternates), (group.reference_bins(), *read), strict=True)
    )


def read_all(
    predictor: StackPredictor, plans: Sequence[AllelePlan], *, reverse: bool = False
) -> list[list[np.ndarray]]:
    """Return the embeddings that each plan reads in its windows."""
    found = []
    for each, readers in zip(plans, predictor.read(plans), strict=True):
        arrays = []
        for number, (_, bins) in enumerate(windows_of(each)):
            index = WIDTH_BP - 1 - bins if reverse else bins
            reader = readers.alternate if number else readers.reference
            arrays.append(
                np.asarray(reader.read(None, None, jnp.asarray(index + max(number - 1, 0) * WIDTH_BP)))
            )
        found.append(arrays)
    return found


def embed_whole(stack: SpliceStack, codes: np.ndarray) -> np.ndarray:
    """Return the embeddings of a whole window, with N beyond its ends."""
    graph, state = nnx.split(stack)
    padded = np.pad(codes, stack.reach_bp, constant_values=UNKNOWN)
    return np.asarray(_embed(graph, state, one_hot(jnp.asarray(padded[None]), jnp.float32))[0])


@functools.partial(jax.jit, static_argnums=0)
def _embed(graph: nnx.GraphDef, state: nnx.State, dna: jax.Array) -> jax.Array:
    return nnx.merge(graph, state).embed(dna)


def assert_same_bytes(
    found: Sequence[Sequence[np.ndarray]], expected: Sequence[Sequence[np.ndarray]]
) -> None:
    for of_plan, of_expected in zip(found, expected, strict=True):
        assert [one.tobytes() for one in of_plan] == [other.tobytes() for other in of_expected]


def count_chunks(
    predictor: StackPredictor, plans: Sequence[AllelePlan], monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Return how many chunks of each layer are computed for these plans."""
    counts = [0] * (1 + len(CONFIG.widths))
    first, following = StackLayers.first_layer, StackLayers.next_layer

    def count_first(self: StackLayers, codes: np.ndarray, rows: np.ndarray) -> None:
        counts[0] += len(rows)
        first(self, codes, rows)

    def count_next(self: StackLayers, layer: int, sources: np.ndarray, rows: np.ndarray) -> None:
        counts[layer] += len(rows)
        following(self, layer, sources, rows)

    with monkeypatch.context() as patch:
        patch.setattr(StackLayers, "first_layer", count_first)
        patch.setattr(StackLayers, "next_layer", count_next)
        read_all(predictor, plans)
    return counts


@pytest.mark.parametrize("reverse", [False, True])
def test_embeddings_are_those_of_whole_windows(stack: SpliceStack, reverse: bool) -> None:
    found = read_all(StackPredictor(stack, reverse=reverse), PLANS, reverse=reverse)
    for each, arrays in zip(PLANS, found, strict=True):
        for (codes, bins), array in zip(windows_of(each), arrays, strict=True):
            whole = embed_whole(stack, reverse_complement(codes) if reverse else codes)
            expected = (whole[::-1] if reverse else whole)[bins]
            np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-5)
            assert len(bins) > 500 and np.ptp(expected) > 1


def test_bytes_do_not_depend_on_what_was_read_before(stack: SpliceStack) -> None:
    predictor = StackPredictor(stack, reverse=False)
    expected = read_all(predictor, PLANS)
    assert_same_bytes(read_all(predictor, PLANS[::-1]), expected[::-1])
    for each, arrays in zip(PLANS, expected, strict=True):
        assert_same_bytes(read_all(StackPredictor(stack, reverse=False), [each]), [arrays])


@pytest.mark.parametrize("reverse", [False, True])
def test_strand_that_is_not_read_is_not_computed(
    stack: SpliceStack, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = read_all(StackPredictor(stack, reverse=reverse), PLANS, reverse=reverse)
    predictor = StackPredictor(stack, reverse=reverse)
    for index, strand in enumerate("-+" if reverse else "+-"):
        plans = [on_strands(each, strand, strand) for each in PLANS]
        found = read_all(predictor, plans, reverse=reverse)
        channels = np.arange(2 * CONFIG.channels) // CONFIG.channels == index
        own = [[array[:, channels] for array in arrays] for arrays in found]
        assert_same_bytes(own, [[array[:, channels] for array in arrays] for arrays in both])
        assert all(np.isnan(array[:, ~channels]).all() for arrays in found for array in arrays)
    assert_same_bytes(read_all(predictor, PLANS, reverse=reverse), both)
    counts = [
        count_chunks(StackPredictor(stack, reverse=reverse), [on_strands(PLANS[0], *strands)], monkeypatch)
        for strands in (("+",), ("-",), ("+", "-"), ("+", None))
    ]
    assert np.all(np.array(counts[2]) == np.array(counts[0]) + np.array(counts[1]) - 1)  # the page of N
    assert counts[3] == counts[2] and min(counts[0]) > 1


def test_bytes_do_not_depend_on_how_many_chunks_are_computed_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = dataclasses.replace(CONFIG, channels=32, widths=(9, 9), dilations=(1, 128))
    stack = create_random(lambda: SpliceStack(sizes, rngs=nnx.Rngs(0)))
    plans = [plan(0, 3000, [1], np.arange(8192, dtype=np.int32), 8192)]
    together: set[int] = set()
    compute = StackLayers.next_layer

    def observe(self: StackLayers, layer: int, sources: np.ndarray, rows: np.ndarray) -> None:
        together.add(len(rows))
        compute(self, layer, sources, rows)

    monkeypatch.setattr(StackLayers, "next_layer", observe)
    expected = read_all(StackPredictor(stack, reverse=False), plans)
    assert together == {1, 4}
    monkeypatch.setattr(stack_predictor, "_CALL_CHUNKS", 1)
    together.clear()
    assert_same_bytes(read_all(StackPredictor(stack, reverse=False), plans), expected)
    assert together == {1}


def test_pages_of_bfloat16_are_written_in_place_on_cpus(stack: SpliceStack) -> None:
    """XLA copies a whole array of bfloat16 there; see `stack_layers`."""
    graph, state = nnx.split(stack)
    narrow = nnx.merge(graph, jax.tree.map(lambda array: array.astype(jnp.bfloat16), state))
    predictor = StackPredictor(narrow, reverse=False)
    ((found, _),) = read_all(predictor, PLANS[:1])
    assert found.dtype == jnp.bfloat16 and predictor._opened is not None
    for store in predictor._opened.stores:
        for pages in store.arrays:
            assert pages.dtype == jnp.float32
            np.testing.assert_array_equal(pages, pages.astype(jnp.bfloat16).astype(jnp.float32))
    expected = embed_whole(stack, PLANS[0].allele.reference_codes)
    np.testing.assert_allclose(found.astype(np.float32), expected, rtol=0.1, atol=0.05 * np.ptp(expected))


def test_bytes_do_not_depend_on_room(stack: SpliceStack, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = read_all(StackPredictor(stack, reverse=False), PLANS)
    monkeypatch.setattr(stack_predictor, "_PART_PAGES", 2)
    monkeypatch.setattr(stack_predictor, "_MAX_ROWS", 0)
    forgotten = []
    forget = StackPredictor._forget_states
    monkeypatch.setattr(StackPredictor, "_forget_states", lambda *args: (forgotten.append(1), forget(*args)))
    predictor = StackPredictor(stack, reverse=False)
    assert_same_bytes(read_all(predictor, PLANS * 3), expected * 3)
    assert forgotten


def test_neighbors_share_all_but_the_ends_of_their_windows(
    stack: SpliceStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(start0: int, pos0: int, base: int) -> list[int]:
        each = plan(start0, pos0, [base], np.arange(8192, dtype=np.int32), 8192)
        return count_chunks(predictor, [on_strands(each, "+")], monkeypatch)

    predictor = StackPredictor(stack, reverse=False)
    count(0, 4000, 1)  # opens the stores
    alone = count(7600, 12_000, 1)
    assert min(alone) > 8  # the window, and the alternate
    same_window = count(7600, 12_000, 2)
    assert max(same_window) <= 2  # around the alternate
    neighbor = count(7603, 12_003, 2)
    assert max(neighbor) <= 5  # and both ends
    again = count(7600, 12_000, 1)
    assert again == neighbor


def test_other_sequence_at_the_same_positions_is_not_taken_for_known(stack: SpliceStack) -> None:
    predictor = StackPredictor(stack, reverse=False)
    first = plan(8000, 9020, [1])
    codes = random_codes(WIDTH_BP, seed=1)
    other = dataclasses.replace(
        first, allele=dataclasses.replace(first.allele, reference_codes=codes, alternates=())
    )
    read_all(predictor, [first])
    ((found,),) = read_all(predictor, [other])
    np.testing.assert_allclose(found, embed_whole(stack, codes), rtol=1e-5, atol=1e-5)


def test_pages_are_free_after_an_error_between_two_alleles(stack: SpliceStack) -> None:
    predictor = StackPredictor(stack, reverse=False)
    read_all(predictor, PLANS[:1])
    assert predictor._opened is not None
    free = [store.free for store in predictor._opened.stores]
    reading = predictor.read(PLANS[:1] * 2)
    next(reading)
    assert predictor._opened.stores[-1].free < free[-1]
    reading.close()
    assert [store.free for store in predictor._opened.stores] == free
    predictor.clear_cache()
    kept = len(predictor._opened.stores) - 1  # the pages of N
    states = predictor._opened.stores[0]
    assert states.max_rows - states.free == kept
