"""All that a run compiles, in the shapes that it uses: an engine is traced, with a network that has no arrays.

What an engine does depends on which bins are read, and not on what a network predicts there, so scoring alleles can be
traced as one function of the network's parameters. In the trace, each function that the engine compiles is one
operation, with the shapes of its arguments; other operations are calls of JAX outside of compiled functions. In two
places an engine needs numbers: how many junction sites there are, for which the trace has the most that are possible,
and the scores, for which it has zeros.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from unittest import mock

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.networks.alphagenome.official.track_counts import COUNTS
from vepscore.contract import Scorer
from vepscore.engine import scoring
from vepscore.engine.sparse import SparseEngine
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint, CheckpointConfig
from vepscore.model.family import abstract_network
from vepscore.networks.alphagenome.config import ModelConfig, scored_resolution_bp
from vepscore.networks.alphagenome.family import FAMILY
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import MAX_WINDOW_BP, SPLICE_CLASSES, Output, Tracks

_COMPILED = ("jit", "pjit")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompiledFunction:
    """A function that a run compiles."""

    name: str
    traced: jax.extend.core.ClosedJaxpr
    donated: tuple[int, ...]  # indices of arguments whose memory is given to the results

    def compile(self, device: jax.Device) -> Any:
        """Return it compiled for a device, which need not be there."""
        placed = jax.sharding.SingleDeviceSharding(device)
        arguments = [
            jax.ShapeDtypeStruct(each.shape, each.dtype, sharding=placed) for each in self.traced.in_avals
        ]
        run = jax.jit(jax.extend.core.jaxpr_as_fun(self.traced), donate_argnums=self.donated)
        return run.lower(*arguments).compile()


@dataclasses.dataclass(frozen=True, kw_only=True)
class TracedRun:
    """What a run does for some alleles: the operations, in order, and the functions among them."""

    operations: Sequence[Any]  # JAX's equations
    functions: Sequence[CompiledFunction]  # in the order of their first calls
    # For each operation, the index of its function; None for an operation of JAX.
    called: Sequence[int | None]

    def calls(self, function: int) -> int:
        """Return how often a function is called."""
        return self.called.count(function)

    def peak_bytes(self, temporary: Sequence[int]) -> int:
        """Return the most memory that is used at a time, if each array is freed after its last use.

        Args:
            temporary: bytes that each function uses while it runs.
        """
        last = {id(value): step for step, each in enumerate(self.operations) for value in each.invars}
        made = {id(value) for each in self.operations for value in each.outvars}
        given = {id(one): one for each in self.operations for one in each.invars if id(one) not in made}
        held = peak = sum(map(_bytes, given.values()))  # the parameters, and sequence
        for step, (each, function) in enumerate(zip(self.operations, self.called, strict=True)):
            used, donated = (
                (0, ()) if function is None else (temporary[function], self.functions[function].donated)
            )
            replaced = {id(each.invars[index]) for index in donated}
            inputs = {id(value): value for value in each.invars}
            held += sum(map(_bytes, each.outvars)) - sum(_bytes(inputs[key]) for key in replaced)
            peak = max(peak, held + used)
            ended = (key for key in inputs if key in made and key not in replaced and last[key] == step)
            held -= sum(_bytes(inputs[key]) for key in ended)
        return peak


def trace_run(
    network: AlphaGenome,
    tracks: Mapping[Output, Tracks],
    scorers: Sequence[Scorer],
    alleles: Sequence[ReadyAllele],
    device: jax.Device,
) -> TracedRun:
    """Trace how a network scores alleles.

    Args:
        network: of shapes, in the form in which it is stored.
        tracks: of its outputs.
        scorers: the scorers of the run.
        alleles: of windows of one width.
        device: of which the engine reads the platform.
    """
    graph, state = nnx.split(network)

    def score(state: nnx.State) -> None:
        network = nnx.merge(graph, state)
        network.set_track_means(tracks)
        config = CheckpointConfig(
            name="", architecture=network.config, organisms=("human",), window_bp=MAX_WINDOW_BP, license=""
        )
        checkpoint = Checkpoint(config=config, network=network, tracks=tracks, digest="")
        engine = SparseEngine(checkpoint, scorers)
        with _without_numbers(engine):
            engine.score(alleles)

    with mock.patch.object(AlphaGenome, "device", device):
        operations = jax.make_jaxpr(score)(state).eqns
    functions, called = list_functions(operations)
    return TracedRun(operations=operations, functions=functions, called=called)


def list_functions(operations: Sequence[Any]) -> tuple[list[CompiledFunction], list[int | None]]:
    """Return the different functions among operations, and for each operation the index of its function or None."""
    index: dict[tuple, int] = {}
    functions: list[CompiledFunction] = []
    called: list[int | None] = []
    for each in operations:
        if each.primitive.name not in _COMPILED:
            called.append(None)
            continue
        key = each.params["name"], str(each.params["jaxpr"])
        called.append(index.setdefault(key, len(index)))
        if len(functions) < len(index):
            donated = tuple(np.flatnonzero(each.params["donated_invars"]).tolist())
            functions.append(
                CompiledFunction(name=each.params["name"], traced=each.params["jaxpr"], donated=donated)
            )
    return functions, called


def published_network() -> tuple[AlphaGenome, dict[Output, Tracks]]:
    """Return the published network for one organism, of shapes in bfloat16, and tables of its tracks."""
    architecture = dataclasses.replace(ModelConfig.alphagenome(), organisms=1)
    graph, state = nnx.split(abstract_network(FAMILY, architecture))
    network = nnx.merge(graph, jax.tree.map(_in_bfloat16, state))
    network.rotary_dtype = "bfloat16"
    return network, {output: _make_tracks(output, count) for output, count in COUNTS["human"].items()}


@contextlib.contextmanager
def _without_numbers(engine: SparseEngine) -> Iterator[None]:
    """Give an engine zeros where it reads scores, and as many junction sites as there can be."""
    choose = engine._scoring._choose

    def choose_most(*arguments: Any) -> tuple[jax.Array, int]:
        sites, _ = choose(*arguments)
        return sites, sites.shape[1]

    def read(scores: Any) -> Any:
        return jax.tree.map(lambda leaf: np.full(leaf.shape, leaf.dtype == bool, leaf.dtype), scores)

    with (
        mock.patch.object(engine._scoring, "_choose", choose_most),
        mock.patch.object(scoring.jax, "device_get", read),
    ):
        yield


def _bytes(value: Any) -> int:
    return value.aval.size * value.aval.dtype.itemsize


def _in_bfloat16(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    dtype = jnp.bfloat16 if leaf.dtype == jnp.float32 else leaf.dtype
    return jax.ShapeDtypeStruct(leaf.shape, dtype)


def _make_tracks(output: Output, count: int) -> Tracks:
    nothing = np.full(count, "")
    strands = (
        np.array([name[-1] for name in SPLICE_CLASSES])
        if output is Output.SPLICE_SITES
        else np.full(count, ".")
    )
    return Tracks(
        output=output,
        name=np.array([f"{output} {number}" for number in range(count)]),
        strand=strands,
        ontology_curie=nothing,
        biosample_name=nothing,
        assay=nothing,
        nonzero_mean=np.ones(count, np.float32),
        channel=np.arange(count, dtype=np.int32),
        resolution_bp=scored_resolution_bp(output),
    )
