"""Provide a tiny network, codes and embeddings to the tests of the model."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.networks.alphagenome.tiny import Normal, embed, random_codes, tiny_network
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings


@pytest.fixture(scope="session")
def network() -> AlphaGenome:
    """Return a tiny network; tests that change one create their own."""
    return tiny_network()


@pytest.fixture
def normal() -> Normal:
    """Draw standard normal numbers; each test starts from the same seed."""
    rng = np.random.default_rng(0)
    return lambda *shape: jnp.asarray(rng.standard_normal(shape, np.float32))


@pytest.fixture(scope="session")
def codes() -> np.ndarray:
    return random_codes()


@pytest.fixture(scope="session")
def embeddings(network: AlphaGenome, codes: np.ndarray) -> Embeddings:
    """Return the embeddings of `codes`, a batch of one."""
    return embed(network, codes)
