"""The full-size network equals the official one: forward passes with deterministic parameters."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.paths import need
from vepscore.engine.signal_reading import choose_sites
from vepscore.model.network import LOADED_ORGANISM, one_hot
from vepscore.networks.alphagenome.config import TRACK_RESOLUTIONS_BP, ModelConfig
from vepscore.networks.alphagenome.heads import TrackHead
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.networks.alphagenome.official.orbax_checkpoint import load_official
from vepscore.outputs import Output

pytestmark = [pytest.mark.slow, pytest.mark.alone]

TOLERANCE = 1e-3  # of an output's standard deviation
LOST_CORRELATION = 0.005  # with the official bfloat16 pass, beside what the official float32 pass has with it
SHARED_SITES = 0.99  # where a class has more sites than are kept, so that rounding decides which
# organism, rotary dtype, parity file
PASSES = [
    ("human", "float32", "float32_org0"),
    ("mouse", "float32", "float32_org1"),
    ("human", "bfloat16", "float32_rotary-bfloat16_org0"),
]
METADATA = {
    "human": "parity/OutputMetadataResponse_ORGANISM_HOMO_SAPIENS.textproto.gz",
    "mouse": "parity/OutputMetadataResponse_ORGANISM_MUS_MUSCULUS.textproto.gz",
}
HEADS = {output: output.lower() for output in Output} | {
    Output.SPLICE_SITES: "splice_sites_classification",
    Output.SPLICE_SITE_USAGE: "splice_sites_usage",
    Output.SPLICE_JUNCTIONS: "splice_sites_junction",
}
INPUTS = {"sequence_codes", "organism_index", "positions_1bp", "bins_128bp"}
SITES = "splice_sites_junction/splice_site_positions"
JUNCTIONS = "splice_sites_junction/predictions"
USAGE = "splice_sites_usage/predictions"
# Usage is stored as float16, a step of which is more than TOLERANCE. On the CPU and with the compiler that made the
# files none is off; with another vector width or other XLA flags the official code itself is off by a step in 0.13%.
OTHER_STEPS = 0.005
PAIR_CHANNEL_STEP = 4  # the files hold every fourth channel

Parity = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def open_network(official_folder: Path) -> Callable[[str, str], AlphaGenome]:
    """Open the checkpoint for an organism and a dtype."""

    def load(organism: str, dtype: str) -> AlphaGenome:
        return load_official(
            official_folder, need(METADATA[organism]), organism=organism, dtype=dtype
        ).network

    return load


@pytest.mark.parametrize(("organism", "rotary_dtype", "name"), PASSES)
def test_every_output_equals_the_official_one(
    open_network: Callable[[str, str], AlphaGenome], organism: str, rotary_dtype: str, name: str
) -> None:
    network, expected = open_network(organism, "float32"), read_parity(name)
    embeddings = embed(network, expected["sequence_codes"], rotary_dtype=rotary_dtype)
    found = dict(predict(network, embeddings, expected))
    off_by = {key: distance(array, expected[key]) for key, array in found.items()}
    print(*(f"{off:.1e} {key}" for key, off in off_by.items()), sep="\n")
    far = {key: off for key, off in off_by.items() if not off <= TOLERANCE}
    if USAGE in far and rounds_elsewhere(found[USAGE], expected[USAGE]):
        del far[USAGE]
    assert far == {}
    assert outputs_of(expected) == off_by.keys() | {SITES}
    assert_sites_equal(network, embeddings, expected[SITES])


def test_mixed_precision_correlates_as_well_as_the_official_one(
    open_network: Callable[[str, str], AlphaGenome],
) -> None:
    network, expected, exact = (
        open_network("human", "bfloat16"),
        read_parity("bfloat16_org0"),
        read_parity("float32_org0"),
    )
    embeddings = embed(network, expected["sequence_codes"], rotary_dtype="bfloat16")
    found = dict(predict(network, embeddings, expected))
    lost = {}
    exact[JUNCTIONS] = junctions_at_sites_of(exact, expected)
    for key, array in found.items():
        ours, official = correlation(array, expected[key]), correlation(exact[key], expected[key])
        print(f"ours {ours:.4f} official float32 {official:.4f} {key}")
        lost[key] = official - ours
    assert {key: value for key, value in lost.items() if not value <= LOST_CORRELATION} == {}


def read_parity(name: str) -> Parity:
    return dict(np.load(need(f"parity/forward_seed0_16384_{name}.npz")))


def outputs_of(parity: Parity) -> set[str]:
    return {key for key in parity.keys() - INPUTS if not key.endswith(("/tracks", "/channels"))}


def embed(network: AlphaGenome, codes: np.ndarray, *, rotary_dtype: str) -> Embeddings:
    definition, state = nnx.split(network)
    dtype = network.encoder.embedder.conv.kernel.dtype

    @jax.jit
    def run(state: nnx.State, codes: jax.Array) -> Embeddings:
        return nnx.merge(definition, state)(
            one_hot(codes, dtype), LOADED_ORGANISM, rotary_dtype=jnp.dtype(rotary_dtype)
        )

    return run(state, jnp.where(codes < 0, 4, codes).astype(jnp.uint8)[None])


def predict(
    network: AlphaGenome, embeddings: Embeddings, expected: Parity
) -> Iterator[tuple[str, jax.Array]]:
    """Return the samples of every output in the file, under the names of the file."""
    fine = embeddings.bp1[0, expected["positions_1bp"]]
    coarse = embeddings.bp128[0, expected["bins_128bp"]]
    pair = embeddings.pair[0]
    yield "embeddings_1bp", fine[:, expected["embeddings_1bp/channels"]]
    yield "embeddings_128bp", coarse[:, expected["embeddings_128bp/channels"]]
    yield "embeddings_pair", pair[..., ::PAIR_CHANNEL_STEP]
    for output in Output:
        head = network.heads[output]
        if isinstance(head, TrackHead):
            predictions = predict_tracks(head, {1: fine, 128: coarse}, output)
        elif output is Output.SPLICE_JUNCTIONS:
            predictions = {"predictions": predict_junctions(network, embeddings, expected)}
        elif output is Output.CONTACT_MAPS:
            predictions = {"predictions": head(pair, LOADED_ORGANISM)}
        else:
            predictions = {
                "predictions": head(fine, LOADED_ORGANISM),
                "logits": head.linear(fine, LOADED_ORGANISM),
            }
        for name, array in predictions.items():
            key = f"{HEADS[output]}/{name}"
            yield key, array[..., expected[f"{key}/tracks"]]


def predict_tracks(head: TrackHead, x: dict[int, jax.Array], output: Output) -> dict[str, jax.Array]:
    predictions = {}
    for bp in TRACK_RESOLUTIONS_BP[output]:
        predictions[f"scaled_predictions_{bp}bp"] = head.scaled(x[bp], LOADED_ORGANISM, resolution_bp=bp)
        predictions[f"predictions_{bp}bp"] = head(x[bp], LOADED_ORGANISM, resolution_bp=bp)
    return predictions


def predict_junctions(network: AlphaGenome, embeddings: Embeddings, expected: Parity) -> jax.Array:
    """Predict junctions between the official sites: donor × acceptor × (tissues on +, tissues on −)."""
    kept = expected[JUNCTIONS].shape[0]
    sites = jnp.asarray(expected[SITES])[:, :kept]
    counts = network.heads[Output.SPLICE_JUNCTIONS](embeddings.bp1[0, sites], sites, LOADED_ORGANISM)
    return counts.reshape(kept, kept, -1)


def junctions_at_sites_of(parity: Parity, expected: Parity) -> np.ndarray:
    """Return the junctions of `parity` between the sites of `expected`; NaN for sites that `parity` lacks."""
    kept, tissues = len(expected[JUNCTIONS]), ModelConfig.alphagenome().heads[Output.SPLICE_JUNCTIONS]
    moved = np.full(expected[JUNCTIONS].shape, np.nan)
    for index, track in enumerate(expected[f"{JUNCTIONS}/tracks"]):
        strand = track // tissues
        own, other = (
            [list(file[SITES][row, : len(file[JUNCTIONS])]) for row in (2 * strand, 2 * strand + 1)]
            for file in (expected, parity)
        )
        donors, acceptors = (
            [row.index(site) if site >= 0 and site in row else None for site in sites[:kept]]
            for sites, row in zip(own, other, strict=True)
        )
        for i, j in itertools.product(range(kept), repeat=2):
            if donors[i] is not None and acceptors[j] is not None:
                moved[i, j, index] = parity[JUNCTIONS][donors[i], acceptors[j], index]
    return moved


def assert_sites_equal(network: AlphaGenome, embeddings: Embeddings, expected: np.ndarray) -> None:
    """Compare exactly, except in full classes, where rounding decides which of the least probable sites are kept."""
    probabilities = network.heads[Output.SPLICE_SITES](embeddings.bp1[0], LOADED_ORGANISM)
    positions = jnp.arange(len(probabilities))
    config = network.config
    found = choose_sites(
        probabilities, positions, count=config.max_splice_sites, threshold=config.splice_site_threshold
    )
    for row, official in zip(np.asarray(found), expected, strict=True):
        shared = len(np.intersect1d(row, official)) / len(official)
        assert np.array_equal(row, official) or (official[-1] >= 0 and shared >= SHARED_SITES)


def distance(found: jax.Array, expected: np.ndarray) -> float:
    """Return the largest difference in standard deviations, without padding channels (NaN in the file)."""
    assert found.shape == expected.shape
    assert np.isfinite(found).all()
    real = np.isfinite(expected)
    return float(np.abs(np.asarray(found) - expected)[real].max() / expected[real].std())


def rounds_elsewhere(found: jax.Array, expected: np.ndarray) -> bool:
    """Return whether at most a few numbers differ, each by one float16 step."""
    real = np.isfinite(expected)
    off = np.abs(np.asarray(found) - expected)[real]
    return np.mean(off > 0) <= OTHER_STEPS and off.max() <= np.spacing(np.float16(0.5))


def correlation(found: jax.Array, expected: np.ndarray) -> float:
    """Return Pearson's correlation of the values that are real in both."""
    real = np.isfinite(expected) & np.isfinite(found)
    return float(np.corrcoef(np.asarray(found, np.float64)[real], expected[real])[0, 1])
