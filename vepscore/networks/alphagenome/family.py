"""The AlphaGenome family: the published network, and smaller ones of the same architecture."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import jax
from flax import nnx

from vepscore.errors import UsageError
from vepscore.model.checkpoint_config import Checkpoint
from vepscore.model.family import Context, Family
from vepscore.model.network import Network
from vepscore.model.predictor import Predictor
from vepscore.networks.alphagenome.config import (
    MIN_WINDOW_BP,
    TRUNK_BIN_BP,
    ModelConfig,
    scored_resolution_bp,
)
from vepscore.networks.alphagenome.layers import fold_convolutions
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.official.official_weights import OFFICIAL_WEIGHTS, OfficialWeights
from vepscore.networks.alphagenome.sparse_predictor import SparsePredictor
from vepscore.networks.alphagenome.stored_form import drop_scales
from vepscore.outputs import MAX_WINDOW_BP, PAIR_BIN_BP, Output


class AlphaGenomeFamily(Family[ModelConfig]):
    """Networks of the AlphaGenome architecture, of any size."""

    name = "alphagenome"
    architecture = ModelConfig

    def published(self) -> ModelConfig:
        return ModelConfig.alphagenome()

    def create(self, architecture: ModelConfig, rngs: nnx.Rngs) -> AlphaGenome:
        return AlphaGenome(architecture, rngs=rngs)

    def context(self, architecture: ModelConfig) -> Context:
        del architecture
        return Context(
            least_bp=MIN_WINDOW_BP, most_bp=MAX_WINDOW_BP, step_bp=PAIR_BIN_BP, align_bp=TRUNK_BIN_BP
        )

    def resolution_bp(self, architecture: ModelConfig, output: Output) -> int:
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
        """Return a predictor that encodes and decodes only what is read."""
        assert isinstance(network, AlphaGenome)
        return SparsePredictor(network, batch=batch, reverse=reverse, tower_devices=window_devices)

    def published_weights(self) -> tuple[OfficialWeights, ...]:
        return OFFICIAL_WEIGHTS

    def import_weights(
        self,
        source: Path,
        output: Path,
        *,
        name: str,
        metadata: Mapping[str, Path],
        dtype: str,
        observe: Callable[[int, int], None],
    ) -> None:
        """Convert an official checkpoint, an Orbax directory, with the metadata of its tracks."""
        from vepscore.networks.alphagenome.official.orbax_checkpoint import import_checkpoint

        if not source.is_dir():
            raise UsageError(
                f"{source}: no such directory", hint="pass the directory of the official checkpoint"
            )
        if not metadata:
            raise UsageError(
                "the official checkpoint does not name its tracks",
                hint="pass --metadata FILE (textproto), once for each organism",
            )
        import_checkpoint(source, output, metadata=metadata, name=name, dtype=dtype, observe=observe)

    def load_official(
        self,
        directory: Path,
        metadata: Path,
        *,
        organism: str,
        dtype: str,
        outputs: Collection[Output] | None,
    ) -> Checkpoint:
        """Open an official checkpoint, an Orbax directory."""
        from vepscore.networks.alphagenome.official.orbax_checkpoint import (
            load_official,  # Orbax takes a second
        )

        return load_official(directory, metadata, organism=organism, dtype=dtype, outputs=outputs)

    def prepare_stored(self, network: Network) -> None:
        """Replace the scales of convolutions, which a checkpoint does not have, by nothing."""
        drop_scales(network)

    def prepare_to_store(self, network: Network) -> None:
        """Fold the standardization of convolutions into their kernels."""
        fold_convolutions(network)


FAMILY = AlphaGenomeFamily()
