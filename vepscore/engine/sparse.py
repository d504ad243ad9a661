"""The sparse engine: the network runs only where scorers read, as far as its family says how; see `Family`."""

from collections.abc import Sequence

import jax
from flax import nnx

from vepscore.contract import Scorer
from vepscore.engine.dense import DensePredictor
from vepscore.engine.scoring_engine import ScoringEngine
from vepscore.model.checkpoint import Checkpoint
from vepscore.model.family import find_family
from vepscore.model.network import Network


class SparseEngine(ScoringEngine):
    """Scores alleles with the predictor of the network's family, or with full forward passes if it brings none.

    Args:
        checkpoint: the network and its tracks.
        scorers: the scorers of the run.
        batch: number of alternates of one reference window that go through the network together.
        strand: the strand of the windows that the network reads, "+" or "-"; scores are in coordinates of the plus
            strand in either case.
        device: where to compute and to keep parameters; None for where the parameters are.
        window_devices: devices over which each window is divided, by position; None to run it on `device`.

    Raises:
        CheckpointError: on "-", the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        scorers: Sequence[Scorer],
        *,
        batch: int = 1,
        strand: str = "+",
        device: jax.Device | None = None,
        window_devices: Sequence[jax.Device] | None = None,
    ) -> None:
        reverse = {"+": False, "-": True}[strand]
        if window_devices is not None and device is None:
            device = window_devices[0]
        network = _put(checkpoint.network.optimized(), device)
        predictor = find_family(checkpoint.config.family).create_predictor(
            network, batch=batch, reverse=reverse, window_devices=window_devices
        )
        if predictor is None:
            predictor = DensePredictor(network, batch=batch, reverse=reverse)
        super().__init__(checkpoint, network, predictor, scorers, batch=batch, reverse=reverse)


def _put(network: Network, device: jax.Device | None) -> Network:
    """Return the network with its parameters on the device; None leaves them where they are."""
    if device is None:
        return network
    graph, state = nnx.split(network)
    return nnx.merge(graph, jax.device_put(state, device))
