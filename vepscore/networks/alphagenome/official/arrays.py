"""Read the arrays of an official checkpoint from its Orbax directory.

No code in it is executed: Orbax reads arrays, and their descriptions in JSON.
"""

import contextlib
import functools
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from vepscore.errors import CheckpointError
from vepscore.model.loading import compare_shapes, stored_variables
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.layers import standardize
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.networks.alphagenome.official.names import (
    OfficialLeaf,
    architecture_of,
    expected_leaves,
    official_leaf,
)
from vepscore.networks.alphagenome.stored_form import abstract_alphagenome, drop_scales
from vepscore.paths import utf8_path

_GROUP_BYTES = 256 * 2**20  # read at a time; Orbax needs the same amount again


class OrbaxArrays:
    """The arrays of an official checkpoint, by their names in our network, with standardized kernels.

    Args:
        directory: the Orbax directory.
        dtype: dtype in which kernels are standardized; bfloat16 as in the official mixed precision.

    Raises:
        CheckpointError: the directory is incomplete, or not an official checkpoint.
    """

    def __init__(self, directory: Path, dtype: str) -> None:
        self.directory = directory.absolute()
        self._readable = utf8_path(self.directory)  # Orbax accepts only UTF-8
        self._dtype = jnp.dtype(dtype)
        self._tree = self._read_tree()
        self.shapes = {
            leaf: tuple(self._tree[leaf.half][leaf.module][leaf.name].shape) for leaf in _leaves(self._tree)
        }
        # Leaf and our shape, by our name.
        self._official: dict[str, tuple[OfficialLeaf, tuple[int, ...]]] = {}

    def expected_network(self) -> AlphaGenome:
        """Return the network that the arrays fill, without arrays.

        Raises:
            CheckpointError: the arrays are not those of a network of the family.
        """
        network = abstract_alphagenome(self._find_architecture())
        compare_shapes(self.shapes, expected_leaves(network), where=self.directory)
        self._official = {
            name: (official_leaf(path, leaf), leaf.shape)
            for name, (path, leaf) in stored_variables(network).items()
        }
        drop_scales(network)
        return network

    def read(self, names: Collection[str], rows: Mapping[str, int]) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the named arrays, for names in `rows` only that row; reads some hundred megabytes at a time."""
        for group in self._group(names):
            scales = {name: scale for name in group if (scale := self._scale_of(name))}
            found = self._restore([self._official[name][0] for name in [*group, *scales.values()]])
            for name in group:
                leaf, shape = self._official[name]
                array = found.pop(leaf).reshape(shape)
                if name in scales:
                    kernel = jnp.asarray(array.astype(self._dtype))
                    factors = found[self._official[scales[name]][0]].reshape(-1).astype(self._dtype)
                    array = np.asarray(standardize(kernel, jnp.asarray(factors)))
                yield name, array[rows[name] : rows[name] + 1] if name in rows else array

    def _find_architecture(self) -> ModelConfig:
        """Return the published architecture, unless the arrays are exactly those of another size of the family."""
        published_network = ModelConfig.alphagenome()
        try:
            architecture = architecture_of(self.shapes)
            if architecture == published_network:
                return architecture
            expected = expected_leaves(abstract_alphagenome(architecture))
        except Exception:  # sizes inferred from damaged arrays fail in many ways
            return published_network
        return architecture if expected == self.shapes else published_network

    def _scale_of(self, name: str) -> str | None:
        """Return the name of the scale with which a convolution's kernel is standardized."""
        module, _, leaf = name.rpartition(".")
        scale = f"{module}.scale"
        return scale if leaf == "kernel" and scale in self._official else None

    def _group(self, names: Collection[str]) -> Iterator[list[str]]:
        group: list[str] = []
        size = 0
        for name in names:
            group.append(name)
            size += 4 * int(np.prod(self._official[name][1]))
            if size >= _GROUP_BYTES:
                yield group
                group, size = [], 0
        if group:
            yield group

    def _read_tree(self) -> Sequence[Mapping[str, Mapping[str, Any]]]:
        """Read shapes and dtypes: the pair of module path → leaf name → description."""
        with _reading(self.directory), ocp.PyTreeCheckpointer() as checkpointer:
            tree = checkpointer.metadata(self._readable).item_metadata.tree
        if not _is_pair_of_modules(tree):
            raise CheckpointError(
                f"{self.directory}: not a pair of parameters and state by module and name",
                hint="pass the directory of an official AlphaGenome checkpoint (JAX version)",
            )
        return tree

    def _restore(self, leaves: Sequence[OfficialLeaf]) -> dict[OfficialLeaf, np.ndarray]:
        wanted = set(leaves)
        item = [
            {
                module: {
                    name: 0 if OfficialLeaf(half, module, name) in wanted else ocp.PLACEHOLDER
                    for name in names
                }
                for module, names in modules.items()
            }
            for half, modules in enumerate(self._tree)
        ]
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), item)
        with _reading(self.directory), ocp.PyTreeCheckpointer() as checkpointer:
            found = checkpointer.restore(
                self._readable, args=ocp.args.PyTreeRestore(item=item, restore_args=as_numpy)
            )
            return {leaf: found[leaf.half][leaf.module][leaf.name] for leaf in wanted}


@contextlib.contextmanager
def _reading(directory: Path) -> Iterator[None]:
    """Raise CheckpointError for the errors of Orbax, which have a different class for each kind of damage."""
    logging.getLogger("absl").setLevel(logging.ERROR)  # its warnings repeat our error
    previous = sys.unraisablehook
    sys.unraisablehook = functools.partial(_report_unless_late, previous)
    try:
        yield
    except Exception as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{directory}: cannot be read as an official (Orbax) checkpoint\n{first_line}",
            hint="the copy may be incomplete: copy or fetch the checkpoint again",
        ) from error
    else:
        sys.unraisablehook = previous


def _report_unless_late(report: Callable[[Any], None], event: Any) -> None:
    """Report errors, except from reads that were in progress when a failed read closed Orbax's event loop."""
    if not (isinstance(event.exc_value, RuntimeError) and "loop is closed" in str(event.exc_value)):
        report(event)


def _is_pair_of_modules(tree: Any) -> bool:
    return (
        isinstance(tree, list | tuple)
        and len(tree) == 2
        and all(isinstance(half, Mapping) for half in tree)
        and all(isinstance(module, Mapping) for half in tree for module in half.values())
        and all(
            hasattr(leaf, "shape") for half in tree for module in half.values() for leaf in module.values()
        )
    )


def _leaves(tree: Sequence[Mapping[str, Mapping[str, Any]]]) -> Iterator[OfficialLeaf]:
    for half, modules in enumerate(tree):
        for module, names in modules.items():
            for name in names:
                yield OfficialLeaf(half, module, name)
