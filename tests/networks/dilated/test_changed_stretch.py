"""An alternate allele computed from the reference's activations equals one that is computed whole."""

from functools import partial

import jax
import numpy as np
import pytest
from flax import nnx

from tests.networks.dilated.small import MARGIN_BP, PANGOLIN, SPLICEAI, encode, random_codes, randomize
from vepscore.networks.dilated.splice_networks import DilatedNetwork, Pangolin, SpliceAI

SLACK, CHANGED_BP = 9, 8


def replaced(
    codes: np.ndarray, start: int, reference_bp: int, alternate: list[int], width: int
) -> np.ndarray:
    """Return the alternate's window: `start` counts from it, which begins SLACK bases into `codes`."""
    first = SLACK + start
    whole = np.concatenate([codes[:first], alternate, codes[first + reference_bp :]]).astype(np.uint8)
    return whole[SLACK : SLACK + width]


def check(
    network: DilatedNetwork, predicted_bp: int, alleles: list[tuple[int, int, list[int]]], strands: str = "+-"
) -> None:
    """Compare alternate alleles, each with its first replaced base, their number and the bases in their place."""
    width = predicted_bp + 2 * MARGIN_BP
    codes = random_codes(width + 2 * SLACK, seed=1)
    kept = jax.jit(partial(network.activate, strands=strands))(encode(codes))
    embed = jax.jit(partial(network.embed, strands=strands))
    np.testing.assert_allclose(
        network.embedding(kept, strands=strands)[SLACK:-SLACK],
        embed(encode(codes[SLACK:-SLACK])[None])[0],
        atol=1e-4,
    )
    embed_changed = jax.jit(partial(network.embed_changed, changed_bp=CHANGED_BP, strands=strands))
    for start, reference_bp, alternate in alleles:
        dna = encode(replaced(codes, start, reference_bp, alternate, width))
        expected = embed(dna[None])[0]
        changed = embed_changed(kept, dna, start, reference_bp, len(alternate))
        np.testing.assert_allclose(
            changed, expected, atol=1e-4, err_msg=f"{start} {reference_bp} {alternate}"
        )
    assert embed_changed._cache_size() == 1  # nothing is compiled again for another variant


@pytest.fixture(scope="module")
def network() -> SpliceAI:
    return randomize(SpliceAI(SPLICEAI, rngs=nnx.Rngs(0)))


# Replaced bases, and the bases in their place: an SNV, an MNV, insertions and deletions.
ALLELES = [(1, [2]), (3, [0, 3, 1]), (1, [1, 2, 3, 0, 0, 1]), (8, [3]), (4, []), (7, [2, 2])]


@pytest.mark.parametrize("predicted_bp", [20, 400])
def test_changed_stretch_equals_a_whole_one(network: SpliceAI, predicted_bp: int) -> None:
    """In the middle of the window, near its ends and beyond them; 400 bp are more than the change reaches."""
    width = predicted_bp + 2 * MARGIN_BP
    inside = [(start, *ALLELES[1]) for start in (0, 3, MARGIN_BP, width - MARGIN_BP, width - 9)]
    outside = [(-8, 1, [2]), (-8, 1, [2, 1, 1]), (-6, 5, [0]), (width + 1, 5, [0, 3])]
    middle = [(width // 2, *allele) for allele in ALLELES]
    shifted = [(start, *allele) for start in (3, width - 9) for allele in ALLELES[2:]]
    check(network, predicted_bp, inside + outside + middle + shifted)


def test_other_family_and_one_strand() -> None:
    network = randomize(Pangolin(PANGOLIN, rngs=nnx.Rngs(0)))
    check(network, 20, [(100, 4, [1]), (100, 1, [1, 1, 2])], strands="-")
