"""What families have in common whose weights are a PyTorch state dict, with a table of targets for each organism."""

import abc
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic

import numpy as np
from jaxtyping import Float32

from vepscore.errors import CheckpointError, UsageError
from vepscore.genome.cache import file_digest
from vepscore.genome.text_file import ENCODING
from vepscore.model.checkpoint import CheckpointConfig, publish_checkpoint
from vepscore.model.family import ArchitectureT, Family, abstract_network
from vepscore.model.loading import compare_shapes, stored_variables
from vepscore.networks.state_dict import StateDict, open_state
from vepscore.networks.state_layers import Arrays
from vepscore.networks.targets import Targets, head_sizes, read_targets
from vepscore.outputs import Output, Tracks
from vepscore.schema import parse

ORGANISMS = ("human", "mouse")  # in the order of the rows of organism-specific parameters
_WEIGHTS_FILES, _SETTINGS_FILE = ("model.safetensors", "pytorch_model.bin"), "config.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportedNetwork(Generic[ArchitectureT]):
    """What a checkpoint stores of a published network."""

    architecture: ArchitectureT
    arrays: Arrays  # float32, by their path in the network
    tracks: Mapping[str, Mapping[Output, Tracks]]  # by organism, in the order of the rows


class StateDictFamily(Family[ArchitectureT]):
    """A family whose weights are a state dict. Its networks have `heads` by output, with `weight` and `bias`.

    Attributes:
        license: SPDX identifier of the license of the weights.
        citation: of the publication.
        default_scorers: names of the scorers that a checkpoint runs by default.
        state_hint: of errors, which weights to pass.
        targets_hint: of errors, which tables of targets to pass.
        target_fields: fields that these tables must have, beside those that all have.
        head_name: name of the layer that is an organism's head, with {} for "human" or "mouse".
        read_head: reads that layer from the state dict, given its name.
    """

    license: ClassVar[str]
    citation: ClassVar[str]
    default_scorers: ClassVar[tuple[str, ...]]
    state_hint: ClassVar[str]
    targets_hint: ClassVar[str]
    target_fields: ClassVar[tuple[str, ...]] = ()
    head_name: ClassVar[str]
    read_head: Callable[[StateDict, str], Arrays]

    @abc.abstractmethod
    def infer_sizes(self, source: StateDict, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the architecture except `organisms` and `heads`.

        Args:
            source: the state dict, whose shapes give most of them.
            settings: the content of the `config.json` beside the weights; empty if there is none.

        Raises:
            ValueError: a setting is invalid.
        """

    @abc.abstractmethod
    def read_trunk(self, source: StateDict, architecture: ArchitectureT) -> Arrays:
        """Return the arrays of everything but the heads, by their path in the network."""

    def rename(self, name: str) -> str:
        """Return the name by which an array of the state dict is read."""
        return name

    def column_constants(self, targets: Targets) -> Mapping[str, Float32[np.ndarray, " columns"]]:
        """Return further parameters of the heads, a number for each column of the published head.

        Raises:
            ValueError: a line of the table of targets has invalid values.
        """
        del targets
        return {}

    def read_tables(self, metadata: Mapping[str, Path]) -> dict[str, Targets]:
        """Read the tables of targets, by organism.

        Raises:
            CheckpointError: one of them is not a table of targets.
        """
        return {
            organism: read_targets(path, hint=self.targets_hint, fields=self.target_fields)
            for organism, path in metadata.items()
        }

    def convert(
        self,
        state: Mapping[str, np.ndarray],
        targets: Mapping[str, Targets],
        *,
        settings: Mapping[str, Any] | None = None,
        where: object = "state dict",
    ) -> ImportedNetwork[ArchitectureT]:
        """Convert a state dict.

        Args:
            state: the arrays, by their published names.
            targets: what the columns of the heads are, by organism. The head of an organism without targets is not
                imported.
            settings: the content of the `config.json` beside the weights.
            where: the file, for messages.

        Raises:
            CheckpointError: arrays are missing, unexpected or misshapen, or a table of targets has another number of
                lines than the head has columns.
        """
        source = StateDict(state, where=where, hint=self.state_hint, rename=self.rename)
        tables = {organism: targets[organism] for organism in ORGANISMS if organism in targets}
        try:
            sizes = self.infer_sizes(source, settings or {})
            sizes |= {"organisms": len(tables), "heads": head_sizes(tables.values())}
            architecture = parse(self.architecture, sizes)
        except ValueError as error:
            raise CheckpointError(
                f"{where}: not the shapes and settings of a network\n{error}", hint=self.state_hint
            ) from error
        arrays = self.read_trunk(source, architecture) | self._read_heads(source, architecture.heads, tables)
        source.check_all_taken()
        network = abstract_network(self, architecture)
        expected = {name: leaf.shape for name, (_, leaf) in stored_variables(network).items()}
        compare_shapes({name: array.shape for name, array in arrays.items()}, expected, where=where)
        tracks = {organism: table.tracks for organism, table in tables.items()}
        return ImportedNetwork(architecture=architecture, arrays=arrays, tracks=tracks)

    def _read_heads(
        self, source: StateDict, heads: Mapping[Output, int], tables: Mapping[str, Targets]
    ) -> Arrays:
        """Return the heads of all outputs. Channels that an organism does not have are 0, their constants 1."""
        published = [self._read_columns(source, organism, table) for organism, table in tables.items()]
        for organism in ORGANISMS:
            source.skip(f"{self.head_name.format(organism)}.")
        arrays = {}
        for output, channels in heads.items():
            for name in published[0]:
                rows = [
                    of_head[name][..., table.columns.get(output, [])]
                    for of_head, table in zip(published, tables.values(), strict=True)
                ]
                fill = 0.0 if name in ("weight", "bias") else 1.0
                arrays[f"heads.{output}.{name}"] = np.stack(
                    [_pad_channels(row, channels, fill) for row in rows]
                )
        return arrays

    def _read_columns(self, source: StateDict, organism: str, targets: Targets) -> Arrays:
        """Return the parameters of the published head of an organism, with the columns as the last axis."""
        head = type(self).read_head(source, self.head_name.format(organism))
        weight, bias = head["kernel"], head["bias"]
        if not weight.shape[-1] == len(bias) == len(targets.rows):
            raise CheckpointError(
                f"{source.where}: the {organism} head has {len(bias)} columns, its targets {len(targets.rows)} lines",
                hint="pass the table of targets that the network was trained with",
            )
        try:
            return {"weight": weight, "bias": bias, **self.column_constants(targets)}
        except ValueError as error:
            raise CheckpointError(
                f"the table of {organism} targets\n{error}", hint=self.targets_hint
            ) from error

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
        """Convert weights, a file or a folder that has it, with tables of targets by organism."""
        del observe
        if dtype != "float32":
            raise UsageError(f"--dtype {dtype}: weights of {self.name} are stored in float32")
        if not metadata:
            raise UsageError("the weights do not name their tracks", hint=self.targets_hint)
        weights = _find_weights(source)
        imported = self.convert(
            open_state(weights, hint=self.state_hint),
            self.read_tables(metadata),
            settings=_read_settings(weights.with_name(_SETTINGS_FILE)),
            where=weights,
        )
        config = CheckpointConfig(
            name=name,
            family=self.name,
            architecture=imported.architecture,
            organisms=tuple(imported.tracks),
            window_bp=self.context(imported.architecture).most_bp,
            scorers=self.default_scorers,
            license=self.license,
            training={
                "imported_from": weights.name,
                "sha256": file_digest(weights),
                "citation": self.citation,
            },
        )
        publish_checkpoint(output, imported.arrays, config, imported.tracks)


def _find_weights(source: Path) -> Path:
    """Return the file of weights, which is the source or in it; the first of the names if it has none."""
    if not source.is_dir():
        return source
    files = [source / name for name in _WEIGHTS_FILES]
    return next((file for file in files if file.exists()), files[0])


def _pad_channels(array: np.ndarray, channels: int, value: float) -> np.ndarray:
    """Return the array with the last axis extended to `channels`."""
    padded = np.full((*array.shape[:-1], channels), value, np.float32)
    padded[..., : array.shape[-1]] = array
    return padded


def _read_settings(path: Path) -> dict[str, Any]:
    """Return the `config.json` beside published weights; empty if there is none.

    Raises:
        CheckpointError: it is not a JSON object.
    """
    try:
        settings = json.loads(path.read_text(encoding=ENCODING))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from error
    if not isinstance(settings, dict):
        raise CheckpointError(f"{path} must be a JSON object")
    return settings
