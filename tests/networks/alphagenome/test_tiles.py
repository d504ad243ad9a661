"""Tiles equal the whole window, also at its ends, with and without local layers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.networks.alphagenome.tiny import CONFIG, create_random, random_codes
from vepscore.genome.windows import UNKNOWN
from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.config import TRUNK_BIN_BP
from vepscore.networks.alphagenome.cpu_layers import WinogradConv, use_winograd
from vepscore.networks.alphagenome.encoder import SequenceEncoder
from vepscore.networks.alphagenome.layers import fold_convolutions
from vepscore.networks.alphagenome.tiles import encode_tiles, encoder_margin_bp

TILE_BINS = 4


@pytest.mark.parametrize(("local_layers", "margin_bp"), [(0, 513), (3, 527), (6, 639)])
def test_a_tile_of_the_encoder_is_a_part_of_the_window(local_layers: int, margin_bp: int) -> None:
    assert encoder_margin_bp(local_layers) == margin_bp
    sizes = dataclasses.replace(CONFIG, local_layers=local_layers)
    check_tiles(create_random(lambda: SequenceEncoder(sizes, rngs=nnx.Rngs(3))), margin_bp, random_codes())


@pytest.mark.slow
def test_a_tile_of_fast_convolutions_too() -> None:
    """Create an encoder with the channels of the official network, and a local layer."""
    sizes = dataclasses.replace(CONFIG, channels=256, local_layers=1)
    encoder = SequenceEncoder(sizes, rngs=nnx.Rngs(3))
    fold_convolutions(encoder)
    fast = use_winograd(encoder)
    assert isinstance(fast.embedder.block.conv, WinogradConv)
    assert isinstance(fast.embedder.local[0].conv, WinogradConv)
    check_tiles(fast, encoder_margin_bp(1), random_codes()[:2048], whole=encoder)


def check_tiles(
    encoder: SequenceEncoder, margin_bp: int, codes: np.ndarray, whole: SequenceEncoder | None = None
) -> None:
    """Compare tiles of `encoder` with the window of `whole`, or of itself."""
    bins = len(codes) // TRUNK_BIN_BP
    first_bins = np.array([0, 5, bins // 2, bins - TILE_BINS])
    padded = np.pad(codes, margin_bp, constant_values=UNKNOWN)
    tiles = [
        padded[first * TRUNK_BIN_BP :][: TILE_BINS * TRUNK_BIN_BP + 2 * margin_bp] for first in first_bins
    ]
    encode = jax.jit(lambda codes, first: encode_tiles(encoder, codes, first, window_bins=bins))
    found, found_skips = encode(np.stack(tiles), jnp.asarray(first_bins))
    trunk, skips = jax.jit(lambda dna: (whole or encoder)(dna))(one_hot(codes[None], jnp.float32))
    for tile, first in enumerate(first_bins):
        own = slice(first, first + TILE_BINS)
        np.testing.assert_allclose(found[tile], trunk[0, own], rtol=1e-4, atol=1e-4)
        for blocks, skip in zip(found_skips, skips, strict=True):
            expected = skip[0].reshape(bins, -1, skip.shape[-1])[own]
            np.testing.assert_allclose(blocks[tile], expected, rtol=1e-4, atol=1e-4)
