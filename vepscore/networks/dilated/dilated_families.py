"""The families of dilated convolutional networks: SpliceAI with its relatives, and Pangolin."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from flax import nnx

from vepscore.errors import UsageError
from vepscore.genome.cache import file_digest
from vepscore.model.checkpoint import CheckpointConfig, publish_checkpoint
from vepscore.model.family import Context, Family
from vepscore.model.published_weights import PublicWeights
from vepscore.networks.dilated.dilated_config import DilatedConfig, PangolinConfig, SpliceAIConfig
from vepscore.networks.dilated.dilated_importing import ImportedNetwork, import_pangolin, import_spliceai
from vepscore.networks.dilated.published_files import PANGOLIN_WEIGHTS, SPLICEAI_WEIGHTS
from vepscore.networks.dilated.splice_networks import Pangolin, SpliceAI
from vepscore.outputs import MAX_WINDOW_BP, Output

_PREDICTED_BP = 6_384  # of the default window: 16,384 bp in a published network

ConfigT = TypeVar("ConfigT", bound=DilatedConfig)


class DilatedFamily(Family[ConfigT]):
    """What both families have in common."""

    precision = "float32"  # as the published programs compute, which print two decimals
    default_scorers: tuple[str, ...]
    weights: tuple[PublicWeights, ...]
    read: Callable[[Path], ImportedNetwork]

    def context(self, architecture: ConfigT) -> Context:
        margin_bp = architecture.margin_bp
        return Context(least_bp=2 * margin_bp + 1, most_bp=MAX_WINDOW_BP, margin_bp=margin_bp)

    def resolution_bp(self, architecture: ConfigT, output: Output) -> int:
        del architecture, output
        return 1

    def published_weights(self) -> tuple[PublicWeights, ...]:
        return self.weights

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
        """Convert weights as published: a wheel, a file or a folder; see `dilated_importing`."""
        del observe
        if metadata:
            raise UsageError(f"--metadata: weights of {self.name} name their tracks", hint="omit --metadata")
        if dtype != "float32":
            raise UsageError(f"--dtype {dtype}: weights of {self.name} are stored in float32")
        imported = type(self).read(source)
        publication = imported.publication
        config = CheckpointConfig(
            name=name,
            family=self.name,
            architecture=imported.architecture,
            organisms=("human",),
            window_bp=2 * imported.architecture.margin_bp + _PREDICTED_BP,
            scorers=self.default_scorers,
            license=publication.license,
            terms_notice=publication.terms_notice,
            training={"imported_from": publication.name, "citation": publication.citation}
            | ({"sha256": file_digest(source)} if source.is_file() else {}),
        )
        publish_checkpoint(output, imported.arrays, config, {"human": imported.tracks})


class SpliceAIFamily(DilatedFamily[SpliceAIConfig]):
    """SpliceAI, CI-SpliceAI, OpenSpliceAI, and the SpliceAI-10k of Spliceformer."""

    name = "spliceai"
    architecture = SpliceAIConfig
    default_scorers = ("SPLICE_EVENTS",)
    weights = SPLICEAI_WEIGHTS
    read = staticmethod(import_spliceai)

    def as_written(self, architecture: SpliceAIConfig) -> bool:
        """Return whether the network has a program of its own, which does not normalize alleles."""
        return architecture.program is not None

    def create(self, architecture: SpliceAIConfig, rngs: nnx.Rngs) -> SpliceAI:
        return SpliceAI(architecture, rngs=rngs)


class PangolinFamily(DilatedFamily[PangolinConfig]):
    """Pangolin."""

    name = "pangolin"
    architecture = PangolinConfig
    default_scorers = ("SPLICE_EVENTS",)
    weights = PANGOLIN_WEIGHTS
    read = staticmethod(import_pangolin)

    def as_written(self, architecture: PangolinConfig) -> bool:
        """Return True: Pangolin's program does not normalize alleles."""
        del architecture
        return True

    def create(self, architecture: PangolinConfig, rngs: nnx.Rngs) -> Pangolin:
        return Pangolin(architecture, rngs=rngs)


SPLICEAI = SpliceAIFamily()
PANGOLIN = PangolinFamily()
