"""The full-size network computes what the official one does: forward passes on deterministic parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.model.official import HEADS, official_network
from tests.paths import need
from vepscore.model.config import TRACK_RESOLUTIONS_BP
from vepscore.model.heads import TrackHead, choose_sites
from vepscore.model.network import AlphaGenome, Embeddings, one_hot
from vepscore.outputs import Output

pytestmark = pytest.mark.slow

TOLERANCE = 1e-3  # of an output's standard deviation
PASSES = {"float32_org0": "float32", "float32_org1": "float32", "float32_rotary-bfloat16_org0": "bfloat16"}
INPUTS = {"sequence_codes", "organism_index", "positions_1bp", "bins_128bp"}
SITES = "splice_sites_junction/splice_site_positions"
PAIR_CHANNEL_STEP = 4  # the files hold every fourth channel


@pytest.fixture(scope="module")
def network() -> AlphaGenome:
    return official_network()


@pytest.mark.parametrize("name", PASSES)
def test_every_output_equals_the_official_one(network: AlphaGenome, name: str) -> None:
    expected = dict(np.load(need(f"parity/forward_seed0_16384_{name}.npz")))
    organism = jnp.asarray(expected["organism_index"])
    embeddings = embed(network, expected["sequence_codes"], organism, rotary_dtype=PASSES[name])
    off_by = {
        key: distance(array, expected[key])
        for key, array in predict(network, embeddings, organism, expected).items()
    }
    print(*(f"{off:.1e} {key}" for key, off in off_by.items()), sep="\n")
    assert {key: off for key, off in off_by.items() if not off < tolerance(key, expected[key])} == {}
    outputs = {key for key in expected.keys() - INPUTS if not key.endswith(("/tracks", "/channels"))}
    assert outputs == off_by.keys() | {SITES}
    assert_sites_equal(network, embeddings, organism, expected[SITES])


def embed(network: AlphaGenome, codes: np.ndarray, organism: jax.Array, *, rotary_dtype: str) -> Embeddings:
    definition, state = nnx.split(network)

    @jax.jit
    def run(state: nnx.State, codes: jax.Array, organism: jax.Array) -> Embeddings:
        dna = one_hot(codes, jnp.float32)
        return nnx.merge(definition, state)(dna, organism, rotary_dtype=jnp.dtype(rotary_dtype))

    return run(state, jnp.where(codes < 0, 4, codes).astype(jnp.uint8)[None], organism)


def predict(
    network: AlphaGenome, embeddings: Embeddings, organism: jax.Array, expected: dict[str, np.ndarray]
) -> dict[str, jax.Array]:
    """The samples of every output that the file has, under the file's names."""
    fine = embeddings.bp1[0, expected["positions_1bp"]]
    coarse = embeddings.bp128[0, expected["bins_128bp"]]
    pair = embeddings.pair[0]
    samples = {
        "embeddings_1bp": fine[:, expected["embeddings_1bp/channels"]],
        "embeddings_128bp": coarse[:, expected["embeddings_128bp/channels"]],
        "embeddings_pair": pair[..., ::PAIR_CHANNEL_STEP],
    }
    for output in Output:
        head = network.heads[output]
        if isinstance(head, TrackHead):
            predictions = predict_tracks(head, {1: fine, 128: coarse}, organism, output)
        elif output is Output.SPLICE_JUNCTIONS:
            predictions = {"predictions": predict_junctions(network, embeddings, organism, expected)}
        elif output is Output.CONTACT_MAPS:
            predictions = {"predictions": head(pair, organism)}
        else:
            predictions = {"predictions": head(fine, organism), "logits": head.logits(fine, organism)}
        for name, array in predictions.items():
            key = f"{HEADS[output]}/{name}"
            samples[key] = array[..., expected[f"{key}/tracks"]]
    return samples


def predict_tracks(
    head: TrackHead, x: dict[int, jax.Array], organism: jax.Array, output: Output
) -> dict[str, jax.Array]:
    predictions = {}
    for bp in TRACK_RESOLUTIONS_BP[output]:
        predictions[f"scaled_predictions_{bp}bp"] = head.scaled(x[bp], organism, resolution_bp=bp)
        predictions[f"predictions_{bp}bp"] = head(x[bp], organism, resolution_bp=bp)
    return predictions


def predict_junctions(
    network: AlphaGenome, embeddings: Embeddings, organism: jax.Array, expected: dict[str, np.ndarray]
) -> jax.Array:
    """Between the official sites; donor × acceptor × (tissues on +, tissues on −)."""
    kept = expected["splice_sites_junction/predictions"].shape[0]
    sites = jnp.asarray(expected[SITES])[:, :kept]
    counts = network.heads[Output.SPLICE_JUNCTIONS](embeddings.bp1[0, sites], sites, organism)
    return counts.reshape(kept, kept, -1)


def assert_sites_equal(
    network: AlphaGenome, embeddings: Embeddings, organism: jax.Array, expected: np.ndarray
) -> None:
    """Exactly, save in classes that are full: there rounding decides which of the least probable stay."""
    probabilities = network.heads[Output.SPLICE_SITES](embeddings.bp1[0], organism)
    positions = jnp.arange(len(probabilities))
    config = network.config
    found = choose_sites(
        probabilities, positions, count=config.max_splice_sites, threshold=config.splice_site_threshold
    )
    for row, official in zip(np.asarray(found), expected, strict=True):
        shared = np.intersect1d(row, official)
        assert np.array_equal(row, official) or (official[-1] >= 0 and len(shared) >= len(official) - 2)


def distance(found: jax.Array, expected: np.ndarray) -> float:
    """Largest difference as a share of the standard deviation; padding channels, which are NaN, left out."""
    assert found.shape == expected.shape
    real = np.isfinite(expected)
    assert np.array_equal(np.isfinite(found), real)
    return float(np.abs(np.asarray(found) - expected)[real].max() / expected[real].std())


def tolerance(key: str, expected: np.ndarray) -> float:
    """Usage is stored as float16: there one step of it, where rounding falls the other way."""
    if key != "splice_sites_usage/predictions":
        return TOLERANCE
    step = np.spacing(np.float16(0.5))
    return TOLERANCE + float(step) / float(expected.std())
