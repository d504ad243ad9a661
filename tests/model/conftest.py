import numpy as np
import pytest

from tests.model.tiny import embed, random_codes, tiny_network
from vepscore.model.network import AlphaGenome, Embeddings


@pytest.fixture(scope="session")
def network() -> AlphaGenome:
    """A tiny network; tests that change one make their own."""
    return tiny_network()


@pytest.fixture(scope="session")
def codes() -> np.ndarray:
    return random_codes()


@pytest.fixture(scope="session")
def embeddings(network: AlphaGenome, codes: np.ndarray) -> Embeddings:
    """Of `codes`, a batch of one."""
    return embed(network, codes)
