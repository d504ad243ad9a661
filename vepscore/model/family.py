"""The contract of a family of networks: how its networks are made, and what they read and predict.

A family is an object registered under its name in the entry-point group `vepscore.networks`; a checkpoint names its
family in `config.json`. The engine works with `Network` alone and names no family.
"""

import abc
import dataclasses
import functools
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import jax
from flax import nnx

from vepscore.errors import CheckpointError, PluginError, UsageError
from vepscore.model.checkpoint_config import Checkpoint
from vepscore.model.convolution import ConvolutionPredictor
from vepscore.model.loading import abstract
from vepscore.model.network import Network
from vepscore.model.predictor import Predictor
from vepscore.model.published_weights import PublishedWeights
from vepscore.outputs import Output
from vepscore.plugins import NETWORKS, PluginEntry, find_plugins, list_plugins, load_plugin

log = logging.getLogger(__name__)


class Architecture(Protocol):
    """The sizes of a network: a frozen dataclass, the field of that name in `config.json`.

    Attributes:
        organisms: rows of every organism-specific parameter; a field.
    """

    organisms: int

    @property
    def heads(self) -> Mapping[Output, int]:
        """Channels of the head of each output, with padding."""


ArchitectureT = TypeVar("ArchitectureT", bound=Any)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Context:
    """The windows that a network reads.

    Attributes:
        least_bp: width of the smallest window.
        most_bp: width of the largest one.
        step_bp: widths are multiples of it.
        margin_bp: bases at each end of a window in which nothing is predicted; of every network of the family.
        align_bp: width of the trunk's bins, on which window starts may be snapped.
    """

    least_bp: int
    most_bp: int
    step_bp: int = 1
    margin_bp: int = 0
    align_bp: int = 1


class Family(abc.ABC, Generic[ArchitectureT]):
    """A family of networks.

    Attributes:
        name: as its entry point has it.
        architecture: the dataclass of its networks' sizes.
        precision: of its networks, where the user names none; None for the fast one of the device.
    """

    name: str
    architecture: type[ArchitectureT]
    precision: str | None = None

    @abc.abstractmethod
    def create(self, architecture: ArchitectureT, rngs: nnx.Rngs) -> Network:
        """Create a network with random parameters."""

    @abc.abstractmethod
    def context(self, architecture: ArchitectureT) -> Context:
        """Return the windows that its networks read."""

    def as_written(self, architecture: ArchitectureT) -> bool:
        """Return whether alleles are scored as the record has them by default, without normalizing them."""
        del architecture
        return False

    @abc.abstractmethod
    def resolution_bp(self, architecture: ArchitectureT, output: Output) -> int:
        """Return the width in bp of the bins in which an output is scored."""

    def published(self) -> ArchitectureT:
        """Return the architecture of the published network; the default values of the dataclass."""
        return self.architecture()

    def published_weights(self) -> Sequence[PublishedWeights]:
        """Return the weights that `vepscore weights fetch` downloads."""
        return ()

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
        """Convert published weights to a checkpoint. Nothing of the source is executed: it is read as arrays.

        Args:
            source: the weights, a file or a directory, as published.
            output: the directory to write, which does not exist; it appears complete or not at all.
            name: name of the checkpoint.
            metadata: tables of tracks by organism, for families whose weights do not name their tracks.
            dtype: dtype of the parameters, "float32" or "bfloat16".
            observe: called with the bytes read so far and in all.

        Raises:
            UsageError: the family has no weights to import, or `metadata` is not what it takes.
            CheckpointError: the source cannot be read, or holds another network.
            OutputError: `output` cannot be written.
        """
        raise UsageError(f"{self.name}: there are no published weights to import")

    def load_official(
        self,
        directory: Path,
        metadata: Path,
        *,
        organism: str,
        dtype: str,
        outputs: Collection[Output] | None,
    ) -> Checkpoint:
        """Open weights in the layout in which they were published; see `vepscore.model.checkpoint.load_checkpoint`.

        Raises:
            CheckpointError: the weights, or the metadata of their tracks, cannot be read.
        """
        raise CheckpointError(f"{directory}: weights of {self.name} have to be imported first")

    def create_predictor(
        self,
        network: Network,
        *,
        batch: int,
        reverse: bool,
        window_devices: Sequence[jax.Device] | None = None,
    ) -> Predictor | None:
        """Return a predictor that computes only what is read; None if there is none.

        A network with a `reach_bp` has that of convolutions.

        Args:
            network: a network of the family, with its parameters on the device.
            batch: number of windows that go through the network together.
            reverse: give the network the windows' minus strand.
            window_devices: devices over which each window is divided; None to run it where the parameters are.
        """
        del batch, window_devices
        return None if network.reach_bp is None else ConvolutionPredictor(network, reverse=reverse)

    def prepare_stored(self, network: Network) -> None:
        """Change a network without arrays into the form in which a checkpoint stores them."""

    def prepare_to_store(self, network: Network) -> None:
        """Change a copy of a network into the form in which a checkpoint stores its arrays."""


def abstract_network(family: Family, architecture: Any) -> Network:
    """Create a network of shapes without arrays."""
    return abstract(lambda rngs: family.create(architecture, rngs))


@functools.cache
def find_family(name: str) -> Family:
    """Import the family of that name.

    Raises:
        UsageError: there is none.
        PluginError: it cannot be loaded, or violates the contract.
    """
    (entry,) = find_plugins(NETWORKS, [name])
    return load_plugin(entry, functools.partial(_contract_problem, entry))


def list_published_weights() -> dict[str, tuple[Family, PublishedWeights]]:
    """Return the weights that can be downloaded, by name, with their family; of two of one name the first.

    A family that cannot be imported is skipped with a warning.
    """
    found: dict[str, tuple[Family, PublishedWeights]] = {}
    for entry in list_plugins(NETWORKS):
        if entry.shadowed_by is not None:
            continue
        try:
            family = find_family(entry.name)
        except PluginError as error:
            log.warning("%s", error)
            continue
        for weights in family.published_weights():
            found.setdefault(weights.name, (family, weights))
    return found


def _contract_problem(entry: PluginEntry, family: object) -> str:
    if isinstance(family, type) and issubclass(family, Family):
        return f"found the class {family.__name__}, expected an instance of it"
    if not isinstance(family, Family):
        return f"found an object of type {type(family).__name__}, expected a vepscore.model.family.Family"
    if getattr(family, "name", None) != entry.name:
        return f"found a family whose name is {getattr(family, 'name', None)!r}, expected {entry.name!r}"
    return ""
