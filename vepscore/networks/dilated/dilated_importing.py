"""Published weights of the SpliceAI and Pangolin families as arrays by our names. Nothing in a file is run.

source                                                            network
wheel `spliceai` or a folder with spliceai1.h5 … spliceai5.h5     SpliceAI, five networks
wheel `cispliceai` or CI-SpliceAI.pb                              CI-SpliceAI, five networks
folder of OpenSpliceAI with model_10000nt_rs10.pt … (or 2000nt …) OpenSpliceAI, all networks of the folder
folder of Spliceformer with spliceai_encoder_10k_071122_0 …       SpliceAI-10k of Spliceformer, five of its ten networks
folder of Pangolin with final.1.0.3.v2 …                          Pangolin, twelve networks, or all 24 with usage

The command line of Pangolin reads the twelve networks `final.{1,2,3}.{0,2,4,6}.3.v2`, of splice sites; those of usage
have odd numbers.
"""

import dataclasses
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from vepscore.errors import CheckpointError
from vepscore.networks.dilated.dilated_config import (
    DILATIONS,
    WIDTHS,
    DilatedConfig,
    PangolinConfig,
    SpliceAIConfig,
)
from vepscore.networks.dilated.frozen_graph import read_constants
from vepscore.networks.dilated.keras_arrays import read_keras_arrays
from vepscore.networks.dilated.layer_names import (
    FrozenLayers,
    KerasLayers,
    LayerNames,
    LayerReader,
    TorchLayers,
    expected_shapes,
    keras_names,
    openspliceai_names,
    pangolin_names,
    pointwise_arrays,
    spliceformer_names,
    trunk_arrays,
)
from vepscore.networks.dilated.published import (
    CI_SPLICEAI,
    OPENSPLICEAI,
    PANGOLIN,
    SPLICEAI,
    SPLICEFORMER,
    Publication,
    pangolin_tracks,
    spliceai_tracks,
)
from vepscore.networks.torch_arrays import read_torch_arrays
from vepscore.outputs import Output, Tracks

_BLOCKS = len(WIDTHS)
_ENSEMBLE = 5
_WHEEL = ".whl"
_BLOCKS_OF_CONTEXT = {80: 4, 400: 8, 2_000: 12, 10_000: 16}  # OpenSpliceAI, context of both sides together

ConfigT = TypeVar("ConfigT", bound=DilatedConfig)
_Arrays = dict[str, np.ndarray]
_Files = Mapping[str, Callable[[], bytes]]  # by name, what reads them


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportedNetwork(Generic[ConfigT]):
    """A published ensemble, ready to be written as a checkpoint."""

    publication: Publication  # name, license and notices
    architecture: ConfigT
    arrays: _Arrays  # float32, by their paths in the network
    tracks: dict[Output, Tracks]


def import_spliceai(source: Path) -> ImportedNetwork[SpliceAIConfig]:
    """Read SpliceAI, CI-SpliceAI, OpenSpliceAI or the SpliceAI-10k of Spliceformer, whichever the source has.

    Args:
        source: a wheel, a file, or a folder with the files; see the module.

    Raises:
        CheckpointError: it has none of them, only a part, more than one, or a file is damaged.
        UsageError: SpliceAI's files need h5py, which is not installed.
    """
    files = _list_files(source)
    readers = {
        r"spliceai([1-5])\.h5": _read_spliceai,
        r"CI-SpliceAI\.pb": _read_ci_spliceai,
        r"model_(\d+)nt_rs\d+\.pt": _read_openspliceai,
        r"spliceai_encoder_10k_071122_([0-4])": _read_spliceformer,
    }
    found = {pattern: _matching(files, pattern) for pattern in readers}
    present = [pattern for pattern in readers if found[pattern]]
    if len(present) != 1:
        raise CheckpointError(
            f"{source}: found files of {len(present)} networks, expected those of one of SpliceAI, CI-SpliceAI, "
            "OpenSpliceAI, Spliceformer",
            hint="pass a wheel `spliceai` or `cispliceai`, or the folder that has the files of one network",
        )
    (pattern,) = present
    return readers[pattern](found[pattern], source)


def import_pangolin(source: Path, *, usage: bool = False) -> ImportedNetwork[PangolinConfig]:
    """Read Pangolin's networks as its command line does.

    Args:
        source: a folder with files `final.REPLICATE.NUMBER.3.v2`.
        usage: read the networks of usage too, which cost as much again.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    config = PangolinConfig(quantities=2 if usage else 1)
    files = _list_files(source)
    names = pangolin_names(_BLOCKS)
    networks = []
    for quantity in range(config.quantities):
        for tissue in range(config.tissues):
            number = 2 * tissue + quantity
            for replicate in range(1, config.replicates + 1):
                name = f"final.{replicate}.{number}.3.v2"
                layers = TorchLayers(read_torch_arrays(_only(files, name, source), name))
                networks.append(_complete(names, layers, names.heads[number], where=name))
    return ImportedNetwork(
        publication=PANGOLIN,
        architecture=config,
        arrays=_stack([_as_one_logit(network) for network in networks], config, classes=1),
        tracks=pangolin_tracks(config),
    )


def _read_spliceai(files: _Files, source: Path) -> ImportedNetwork[SpliceAIConfig]:
    names = keras_names(_BLOCKS)
    networks = []
    for number in range(1, _ENSEMBLE + 1):
        name = f"spliceai{number}.h5"
        layers = KerasLayers(read_keras_arrays(_only(files, name, source), name))
        networks.append(_complete(names, layers, *names.heads, where=name))
    return _ensemble(SPLICEAI, networks)


def _read_ci_spliceai(files: _Files, source: Path) -> ImportedNetwork[SpliceAIConfig]:
    name = "CI-SpliceAI.pb"
    constants = read_constants(_only(files, name, source), name)
    names = keras_names(_BLOCKS)
    networks = [
        _complete(names, FrozenLayers(constants, number), *names.heads, where=name)
        for number in range(_ENSEMBLE)
    ]
    return _ensemble(CI_SPLICEAI, networks)


def _read_openspliceai(files: _Files, source: Path) -> ImportedNetwork[SpliceAIConfig]:
    contexts = {int(re.findall(r"(\d+)nt", name)[-1]) for name in files}
    if len({name.rpartition("/")[0] for name in files}) > 1 or not contexts <= _BLOCKS_OF_CONTEXT.keys():
        raise CheckpointError(
            f"{source}: has the networks of several species or contexts, expected those of one",
            hint="pass a folder such as models/openspliceai-mane/10000nt",
        )
    blocks = _BLOCKS_OF_CONTEXT[contexts.pop()]
    names = openspliceai_names(blocks)
    networks = [
        _complete(names, TorchLayers(read_torch_arrays(files[name](), name)), *names.heads, where=name)
        for name in sorted(files)
    ]
    return _ensemble(OPENSPLICEAI, networks, blocks=blocks, negative_slope=0.1)


def _read_spliceformer(files: _Files, source: Path) -> ImportedNetwork[SpliceAIConfig]:
    names = spliceformer_names(_BLOCKS)
    networks = []
    for number in range(_ENSEMBLE):
        name = f"spliceai_encoder_10k_071122_{number}"
        layers = TorchLayers(read_torch_arrays(_only(files, name, source), name))
        networks.append(_complete(names, layers, *names.heads, where=name))
    return _ensemble(SPLICEFORMER, networks)


def _ensemble(
    publication: Publication,
    networks: Sequence[_Arrays],
    *,
    blocks: int = _BLOCKS,
    negative_slope: float = 0.0,
) -> ImportedNetwork[SpliceAIConfig]:
    config = SpliceAIConfig(
        replicates=len(networks),
        widths=WIDTHS[:blocks],
        dilations=DILATIONS[:blocks],
        negative_slope=negative_slope,
        program=publication.program,
    )
    return ImportedNetwork(
        publication=publication,
        architecture=config,
        arrays=_stack(networks, config, classes=3),
        tracks=spliceai_tracks(publication.name),
    )


def _complete(names: LayerNames, layers: LayerReader, head: str, *, where: str) -> _Arrays:
    """Return the arrays of one network."""
    try:
        return trunk_arrays(names, layers) | pointwise_arrays("head", head, layers)
    except KeyError as error:
        raise CheckpointError(
            f"{where}: has no array {error}",
            hint="expected the published file of a network of 32 channels",
        ) from error
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"{where}: an array has another number of axes ({error})") from error


def _as_one_logit(network: _Arrays) -> _Arrays:
    """Replace the two classes of a splice site by the difference of their logits; usage has one already."""
    kernel, bias = network["head.kernel"], network["head.bias"]
    if len(bias) == 2:
        kernel, bias = kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]
    return network | {"head.kernel": kernel, "head.bias": bias}


def _stack(networks: Sequence[_Arrays], config: DilatedConfig, *, classes: int) -> _Arrays:
    """Stack the arrays of all networks in a new first axis.

    Raises:
        CheckpointError: their sizes are not those of the published networks.
    """
    stacked = {}
    for name, shape in expected_shapes(config, classes).items():
        found = {network[name].shape for network in networks}
        if found != {shape[1:]}:
            raise CheckpointError(f"{name}: found the shapes {sorted(found)}, expected {shape[1:]}")
        stacked[name] = np.stack([np.asarray(network[name], np.float32) for network in networks])
    return stacked


def _list_files(source: Path) -> _Files:
    """Return the files of a folder, or of a wheel, or the one file, by their path there."""
    if source.is_dir():
        return {
            str(path.relative_to(source)): path.read_bytes for path in source.rglob("*") if path.is_file()
        }
    if source.suffix == _WHEEL:
        return _list_wheel(source)
    if source.is_file():
        return {source.name: source.read_bytes}
    raise CheckpointError(f"{source}: no such file or folder")


def _list_wheel(source: Path) -> _Files:
    def read(name: str) -> Callable[[], bytes]:
        def read_entry() -> bytes:
            with zipfile.ZipFile(source) as wheel:
                return wheel.read(name)

        return read_entry

    try:
        with zipfile.ZipFile(source) as wheel:
            return {name: read(name) for name in wheel.namelist()}
    except (OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{source}: not a wheel ({error})") from error


def _matching(files: _Files, pattern: str) -> _Files:
    """Return the files whose name, without the folder, matches."""
    return {name: read for name, read in files.items() if re.fullmatch(pattern, name.rpartition("/")[2])}


def _only(files: _Files, name: str, source: Path) -> bytes:
    """Read the one file of that name.

    Raises:
        CheckpointError: there is none, or more than one.
    """
    found = _matching(files, re.escape(name))
    if len(found) != 1:
        raise CheckpointError(f"{source}: found {len(found)} files {name}, expected one")
    (read,) = found.values()
    return read()
