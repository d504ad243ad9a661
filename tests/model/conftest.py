"""Fixtures of the checkpoint's tests."""

import pytest

from tests.networks.alphagenome.tiny import tiny_network
from vepscore.networks.alphagenome.network import AlphaGenome


@pytest.fixture(scope="session")
def network() -> AlphaGenome:
    """Return a tiny network; tests that change one create their own."""
    return tiny_network()
