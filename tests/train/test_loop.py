"""Weight averaging of networks."""

import numpy as np
from flax import nnx

from tests.networks.alphagenome.tiny import tiny_network
from vepscore.model.checkpoint import stored_variables
from vepscore.networks.alphagenome.layers import fold_convolutions, unfold_convolutions
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.train.loop import averaged


def arrays(network: AlphaGenome) -> dict[str, np.ndarray]:
    return {name: np.asarray(leaf.get_value()) for name, (_, leaf) in stored_variables(network).items()}


def test_every_array_used_in_inference_is_the_weighted_mean() -> None:
    networks = [tiny_network(seed) for seed in (1, 2)]
    for network in networks:
        fold_convolutions(network)
    one, other = map(arrays, networks)
    unfold_convolutions(networks[0])
    before = [arrays(network) for network in networks]
    found = arrays(averaged(networks, [0.25, 0.75]))
    assert found.keys() == one.keys()
    for name, values in found.items():
        np.testing.assert_allclose(values, 0.25 * one[name] + 0.75 * other[name], rtol=1e-5, atol=1e-7)
    assert any((one[name] != other[name]).any() for name in one)
    for earlier, after in zip(before, map(arrays, networks), strict=True):
        assert all((after[name] == values).all() for name, values in earlier.items())


def test_the_mean_of_one_network_is_that_network() -> None:
    network = nnx.clone(tiny_network())
    fold_convolutions(network)
    expected, found = arrays(network), arrays(averaged([network], [1.0]))
    assert all((found[name] == values).all() for name, values in expected.items())
