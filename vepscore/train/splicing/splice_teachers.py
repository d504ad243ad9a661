"""Teachers of splice sites: checkpoints, each one network or an ensemble, that predict them at 1 bp on both strands.

They read transcribed sequence, 5′ to 3′, and predict its donors and acceptors. Targets are the mean of the networks of
all teachers, or of some or one that are drawn, whose mean over many draws is the same.
"""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from vepscore.engine.settings import fixed_settings
from vepscore.errors import TrainingError
from vepscore.genome.windows import UNKNOWN
from vepscore.model.checkpoint import checkpoint_digest, load_checkpoint, read_config
from vepscore.model.family import Context, find_family
from vepscore.model.network import LOADED_ORGANISM, Network, one_hot
from vepscore.model.registry import FILES, resolve_checkpoint
from vepscore.networks.dilated.splice_networks import SpliceAI
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.threads import granted_threads

_CONTEXT_BP = 4_096  # read on either side of what is predicted, by networks without margins


class TeacherFacts(NamedTuple):
    """What the checkpoint's `config.json` records of a teacher."""

    name: str
    license: str
    citation: str | None
    checkpoint: str  # its hash

    @classmethod
    def read(cls, directory: Path) -> "TeacherFacts":
        """Read them from a checkpoint."""
        config = read_config(directory)
        citation = config.training.get("citation")
        return cls(config.name, config.license, citation, checkpoint_digest(directory))


def find_checkpoint(name: str, data: Path) -> Path:
    """Return the directory of a checkpoint of a recipe: in the data directory, or wherever `--checkpoint` finds it.

    Raises:
        CheckpointError: there is none.
    """
    inside = data / name
    return inside if (inside / FILES[0]).is_file() else resolve_checkpoint(name)


class SpliceTeachers:
    """The networks of some checkpoints.

    Attributes:
        flank_bp: bases that are read on either side of what is predicted.

    Raises:
        TrainingError: a checkpoint does not predict donors and acceptors of both strands at 1 bp.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self._teachers = [_load(directory) for directory in directories]
        self._networks = [network for networks in self._teachers for network in networks]
        self.flank_bp = max(network.flank_bp for network in self._networks)
        self._threads = ThreadPoolExecutor(granted_threads(), thread_name_prefix="teacher")

    def predict_mean(
        self, codes: np.ndarray, rng: np.random.Generator | None = None, count: int | None = None
    ) -> np.ndarray:
        """Return the mean of networks, each in a thread, because one alone does not keep all cores busy.

        Args:
            codes: uint8 (B, S), with `flank_bp` at either end.
            rng: draws the networks.
            count: networks to draw of each teacher; None for all of them.

        Returns:
            Probabilities of donors and acceptors, float32 (B, S - 2 · flank_bp, 2).
        """
        predict = fixed_settings()(lambda network: network.predict(self._crop(codes, network)))
        return np.mean(list(self._threads.map(predict, self._choose(rng, count))), axis=0)

    def predict_one(self, rng: np.random.Generator, codes: np.ndarray) -> np.ndarray:
        """Return the predictions of one network that is drawn, in the same form."""
        network = self._networks[rng.integers(len(self._networks))]
        return network.predict(self._crop(codes, network))

    def _choose(self, rng: np.random.Generator | None, count: int | None) -> "list[_TeacherNetwork]":
        """Return all networks, or some that are drawn of each teacher."""
        if rng is None or count is None:
            return self._networks
        return [
            networks[index] for networks in self._teachers for index in rng.permutation(len(networks))[:count]
        ]

    def _crop(self, codes: np.ndarray, network: "_TeacherNetwork") -> np.ndarray:
        extra = self.flank_bp - network.flank_bp
        return codes[:, extra : codes.shape[1] - extra]


class _TeacherNetwork:
    """One network, with a function that is compiled once for all networks of an ensemble."""

    def __init__(self, predict: Any, state: nnx.State, context: Context, flank_bp: int) -> None:
        self._predict, self._state, self._context = predict, state, context
        self.flank_bp = flank_bp

    def predict(self, codes: np.ndarray) -> np.ndarray:
        """Return the probabilities of donors and acceptors, float32 (B, S - 2 · flank_bp, 2)."""
        width, step, context = codes.shape[1], self._context.step_bp, self._context
        padded_bp = max(context.least_bp, -(-width // step) * step) - width
        padded = np.pad(codes, ((0, 0), (0, padded_bp)), constant_values=UNKNOWN)
        first = self.flank_bp - context.margin_bp
        predicted = np.asarray(self._predict(self._state, padded))
        return predicted[:, first : first + width - 2 * self.flank_bp]


def _load(directory: Path) -> list[_TeacherNetwork]:
    """Open the networks of a checkpoint."""
    checkpoint = load_checkpoint(directory, outputs=(Output.SPLICE_SITES,))
    config = checkpoint.config
    table = checkpoint.tracks.get(Output.SPLICE_SITES)
    if table is None or len(table) != len(SPLICE_CLASSES) or table.resolution_bp != 1:
        raise TrainingError(
            f"splicing.teachers: {directory} does not predict donors and acceptors of both strands at 1 bp",
            hint="`vepscore tracks -c CHECKPOINT` lists what it predicts",
        )
    context = find_family(config.family).context(config.architecture)
    channels = table.channel[[SPLICE_CLASSES.index(kind) for kind in ("donor+", "acceptor+")]]
    members = checkpoint.network.members()
    graph = nnx.split(members[0])[0]
    predict = jax.jit(functools.partial(_predict, graph, channels))
    flank_bp = context.margin_bp or _CONTEXT_BP
    return [_TeacherNetwork(predict, nnx.split(member)[1], context, flank_bp) for member in members]


def _predict(graph: nnx.GraphDef, channels: np.ndarray, state: nnx.State, codes: jax.Array) -> jax.Array:
    """Return the probabilities of the given tracks of sequences (B, S): (B, S - margins, 2)."""
    network: Network = nnx.merge(graph, state)
    dna = one_hot(codes, network.dtype)
    if isinstance(network, SpliceAI):  # one strand is half of the work
        return network.predict(Output.SPLICE_SITES, network.embed(dna, strands="+"))
    embedded = network.select(network.embed(dna, LOADED_ORGANISM), Output.SPLICE_SITES)
    return network.predict(Output.SPLICE_SITES, embedded, LOADED_ORGANISM)[..., channels]
