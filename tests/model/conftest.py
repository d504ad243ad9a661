"""Fixtures of the checkpoint's tests."""

import numpy as np
import pytest

from tests.networks.alphagenome.tiny import random_codes, tiny_network
from vepscore.networks.alphagenome.network import AlphaGenome


@pytest.fixture(scope="session")
def network() -> AlphaGenome:
    """Return a tiny network; tests that change one create their own."""
    return tiny_network()


@pytest.fixture(scope="session")
def codes() -> np.ndarray:
    return random_codes()
