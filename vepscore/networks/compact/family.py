"""The compact family: small networks whose splicing is predicted by convolutions alone."""

from collections.abc import Sequence

import jax
from flax import nnx

from vepscore.model.family import Context, Family
from vepscore.model.network import Network
from vepscore.model.predictor import Predictor
from vepscore.networks.alphagenome.config import scored_resolution_bp
from vepscore.networks.alphagenome.family import FAMILY as ALPHAGENOME
from vepscore.networks.compact.compact_config import CompactConfig
from vepscore.networks.compact.compact_network import CompactNetwork
from vepscore.networks.compact.compact_predictor import CompactPredictor
from vepscore.outputs import Output


class CompactFamily(Family[CompactConfig]):
    """Networks of a stack of convolutions and an AlphaGenome, of any size."""

    name = "compact"
    architecture = CompactConfig

    def create(self, architecture: CompactConfig, rngs: nnx.Rngs) -> CompactNetwork:
        return CompactNetwork(architecture, rngs=rngs)

    def context(self, architecture: CompactConfig) -> Context:
        return ALPHAGENOME.context(architecture.tracks)

    def resolution_bp(self, architecture: CompactConfig, output: Output) -> int:
        del architecture
        return scored_resolution_bp(output)

    def create_predictor(
        self,
        network: Network,
        *,
        batch: int,
        reverse: bool,
        window_devices: Sequence[jax.Device] | None = None,
    ) -> Predictor:
        """Return a predictor that computes only what is read, of each part."""
        assert isinstance(network, CompactNetwork)
        return CompactPredictor(network, batch=batch, reverse=reverse, tower_devices=window_devices)

    def prepare_stored(self, network: Network) -> None:
        """Prepare the AlphaGenome; the stack is stored as it is."""
        ALPHAGENOME.prepare_stored(network)

    def prepare_to_store(self, network: Network) -> None:
        """Prepare the AlphaGenome; the stack is stored as it is."""
        ALPHAGENOME.prepare_to_store(network)


FAMILY = CompactFamily()
