"""From embeddings to score matrices: heads where scorers read, then the scorers. What every engine shares.

An engine gives a reader of each allele's embeddings. Scorers that read the same places share the signals there.

Axes: S bp, P positions read, C channels, T real tracks, K junction sites per class.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.contract import Footprint, Junctions, ScoreMatrix, Scorer, Site, padded_size
from vepscore.engine.preparer import ReadyAllele
from vepscore.engine.selection import needed_outputs
from vepscore.engine.strand import BETWEEN_BASES, count_turned, turn_index, turned_channels
from vepscore.genome.alignment import (
    AlternateIndex,
    align_positions,
    align_to_both,
    choose_right_pairs,
)
from vepscore.model.checkpoint import LOADED_ORGANISM
from vepscore.model.heads import JunctionHead, choose_sites
from vepscore.model.network import AlphaGenome
from vepscore.outputs import PAIR_BIN_BP, SPLICE_CLASSES, Output, Tracks

_CHUNK_POSITIONS = 1024  # embedded and predicted at a time
_SITE_SIZES = (16, 64, 128, 256, 512)  # junction sites per class, of which the next larger number is computed

Signals = dict[Output, jax.Array]  # float32 (P, T); (P, S // 2048, T) for contact maps


class NotFiniteError(Exception):
    """The device gave NaN or infinity for an allele."""


AlleleScores = list[ScoreMatrix] | NotFiniteError  # of one allele, in the order of the scorers


class Reader(Protocol):
    """The embeddings of one window, wherever they are asked for: a tree of device arrays."""

    @property
    def width_bp(self) -> int:
        """S."""

    def read(self, network: Any, organism: jax.Array, output: Output, index: jax.Array) -> jax.Array:
        """The embeddings that `output` reads, in its bins `index` (P,) of the window as the network saw it.

        Where the allele has two windows, bins of the second one follow those of the first; but there is one contact
        map, of pairs of bins from either.
        """


class Places(NamedTuple):
    """Where both alleles are read, in bins of the output's resolution."""

    reference: Any  # int32 (P,), ascending, padded with -1
    alternate: Any  # int32 (P,): where to read the alternate; -1: zero
    anchor: Any  # int32 (): index within P that takes the maximum over `span`; P where none does
    span: Any  # int32 (L,), padded with -1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What one scorer asks for."""

    scorer: Scorer
    footprint: Footprint


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """Scorers that read the same places, perhaps of several outputs."""

    places: Places
    requests: tuple[Request, ...]

    @functools.cached_property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs whose signals are read; junctions come from the splice sites that are found in these."""
        needed = set().union(*(needed_outputs(request.scorer) for request in self.requests))
        return tuple(sorted(needed - {Output.SPLICE_JUNCTIONS}))

    @property
    def resolution_bp(self) -> int:
        """Of all its outputs."""
        return self.outputs[0].resolution_bp

    def positions(self) -> np.ndarray:
        """Return the bins that are read of the reference."""
        read = self.places.reference
        return read[read >= 0]

    def alternate_positions(self, window: int, width_bp: int) -> np.ndarray:
        """Return the bins that are read of one of the alternate's windows, counted from its start.

        Args:
            window: 0, or 1 for the right-anchored one.
            width_bp: S.
        """
        size = width_bp // self.resolution_bp
        read = np.append(self.places.alternate, self.places.span) - window * size
        return read[(read >= 0) & (read < size)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllelePlan:
    """What is read for one allele."""

    allele: ReadyAllele
    scorers: tuple[Scorer, ...]  # of the run
    groups: tuple[Group, ...]


def plan_allele(allele: ReadyAllele, scorers: Sequence[Scorer]) -> AllelePlan:
    """Asks every scorer where it reads."""
    site = allele.site
    groups: dict[tuple, list[Request]] = {}
    for scorer in scorers:
        footprint = scorer.footprint(site)
        if footprint is not None:
            key = (scorer.output.resolution_bp, footprint.aligned, footprint.positions.tobytes())
            groups.setdefault(key, []).append(Request(scorer=scorer, footprint=footprint))
    return AllelePlan(
        allele=allele,
        scorers=tuple(scorers),
        groups=tuple(
            Group(places=_places(requests[0].footprint, resolution_bp, site), requests=tuple(requests))
            for (resolution_bp, *_), requests in groups.items()
        ),
    )


def _places(footprint: Footprint, resolution_bp: int, site: Site) -> Places:
    if site.has_two_windows and resolution_bp < PAIR_BIN_BP:
        index = align_to_both(footprint.positions, resolution_bp, site.allele, site.window)
    elif footprint.aligned and not site.has_two_windows:
        index = align_positions(footprint.positions, site.allele, site.window)
    else:
        none = np.full(1, -1, np.int32)
        index = AlternateIndex(
            positions=footprint.positions, anchor=np.int32(len(footprint.positions)), span=none
        )
    return Places(
        reference=footprint.positions, alternate=index.positions, anchor=index.anchor, span=index.span
    )


class Scoring:
    """The heads of a checkpoint and the scorers of a run.

    Args:
        network: whose heads are used.
        tracks: of each output.
        scorers: which scores to make.
        reverse: the network is given the windows' minus strand.

    Raises:
        CheckpointError: `reverse`, and the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self,
        network: AlphaGenome,
        tracks: Mapping[Output, Tracks],
        scorers: Sequence[Scorer],
        *,
        reverse: bool,
    ) -> None:
        self.tracks = tracks
        config = network.config
        network = nnx.merge(*nnx.split(network))
        network.heads = nnx.clone(network.heads)
        for output in set().union(*map(needed_outputs, scorers)):
            channels = turned_channels(tracks[output]) if reverse else tracks[output].channel
            network.heads[str(output)].keep(channels)
        graph, self._state = nnx.split(network)
        self._predict = jax.jit(functools.partial(_predict, graph, reverse), static_argnames="outputs")
        self._count = jax.jit(functools.partial(_count, graph, reverse))
        self._choose = jax.jit(
            functools.partial(_choose, config.max_splice_sites, config.splice_site_threshold)
        )

    def predict(self, group: Group, reader: Reader, *, alternate: bool) -> Signals:
        """The signals of one allele at the group's places, the alternate's in the reference's coordinates."""
        places = group.places
        if not alternate:
            end, none = np.int32(len(places.reference)), np.full(1, -1, np.int32)
            places = Places(places.reference, alternate=places.reference, anchor=end, span=none)
        return self._predict(self._state, reader, places, outputs=group.outputs)

    def score(
        self,
        plan: AllelePlan,
        reference: Reader,
        alternate: Reader,
        predict_reference: Callable[[Group], Signals],
    ) -> list[ScoreMatrix]:
        """The matrices of one allele, in the order of the scorers.

        Args:
            plan: what is read.
            reference: the reference's embeddings.
            alternate: the alternate's; the reference's where the allele changes nothing.
            predict_reference: the reference's signals of a group.

        Raises:
            NotFiniteError: the device gave NaN or infinity.
        """
        found = {}
        for group in plan.groups:
            known = predict_reference(group)
            changed = not plan.allele.changes_nothing
            signals = known, self.predict(group, alternate, alternate=True) if changed else known
            for request in group.requests:
                output = request.scorer.output
                if output is Output.SPLICE_JUNCTIONS:
                    pair = self._junctions(group, request, signals, (reference, alternate))
                else:
                    pair = tuple(signal[output] for signal in signals)
                found[request.scorer] = (
                    request,
                    _reduce(*pair, request.footprint.masks, scorer=request.scorer),
                )
        # Waits for the device once, not once per scorer.
        values = jax.device_get([scored for _, scored in found.values()])
        scores = dict(zip(found, values, strict=True))
        return [
            self._name(found[scorer][0], *scores[scorer], plan.allele)
            for scorer in plan.scorers
            if scorer in found
        ]

    def _name(self, request: Request, scores: Any, finite: bool, allele: ReadyAllele) -> ScoreMatrix:
        scorer = request.scorer
        if not finite:
            raise NotFiniteError(f"{scorer.output}: the device returned numbers that are not finite")
        matrix = scorer.rows(scores, request.footprint, allele.site, self.tracks[scorer.output])
        return _without_change(matrix) if allele.changes_nothing and scorer.compares else matrix

    def _junctions(
        self, group: Group, request: Request, signals: tuple[Signals, Signals], readers: tuple[Reader, Reader]
    ) -> tuple[Junctions, Junctions]:
        """Counts between the sites that either allele or the annotation has: as many as there are and are taken."""
        classes = [signal[Output.SPLICE_SITES] for signal in signals]
        footprint = request.footprint
        read = (
            np.ones(len(SPLICE_CLASSES), bool) if footprint.site_classes is None else footprint.site_classes
        )
        sites, most = self._choose(*classes, group.places.reference, footprint.annotated_sites, read)
        sites = sites[:, : request.scorer.max_sites]
        sizes = [*(size for size in _SITE_SIZES if size < sites.shape[1]), sites.shape[1]]
        sites = sites[:, : padded_size(min(int(most), sites.shape[1]), sizes)]
        return self._count(self._state, classes, sites, group.places, *readers)


def join_pairs(left: jax.Array, right: jax.Array, plan: AllelePlan, *, reverse: bool) -> jax.Array:
    """Return the pair representation (M, M, F) of an alternate allele that has two windows which are not joined.

    It is the left-anchored window's where no scorer reads contacts.
    """
    if not any(group.resolution_bp == PAIR_BIN_BP for group in plan.groups):
        return left
    is_right = choose_right_pairs(PAIR_BIN_BP, plan.allele.site.allele, plan.allele.site.window)
    return jnp.where((is_right[::-1, ::-1] if reverse else is_right)[..., None], right, left)


def _without_change(matrix: ScoreMatrix) -> ScoreMatrix:
    """Return the matrix with scores of 0 and no positions: compiled code may round two equal terms differently."""
    nowhere = None if matrix.positions is None else np.full_like(matrix.positions, -1)
    values = np.where(np.isnan(matrix.values), matrix.values, np.float32(0))
    return dataclasses.replace(matrix, values=values, positions=nowhere)


class Engine(Protocol):
    """What a run needs of an engine."""

    scorers: Sequence[Scorer]
    tracks: Mapping[Output, Tracks]
    batch: int  # alleles that it is best given at a time

    def score(self, alleles: Sequence[ReadyAllele]) -> list[AlleleScores]:
        """The matrices of each allele, in the order of the scorers."""


@dataclasses.dataclass(frozen=True)
class _Heads:
    """The network's heads, evaluated at the places that a scorer reads."""

    network: Any  # with the real tracks only
    reverse: bool  # the network was given the minus strand

    def predict(self, output: Output, reader: Reader, index: jax.Array) -> jax.Array:
        """Predictions of the real tracks, float32 (P, T), for contact maps (P, S // 2048, T); 0 at padding."""
        if self.reverse and output in BETWEEN_BASES:
            # On the other strand, it is found one base before; nothing at the window's start.
            index = index - 1
        signal = self.network.predict(output, self.embed(output, reader, index), LOADED_ORGANISM)
        if self.reverse and output is Output.CONTACT_MAPS:
            signal = signal[:, ::-1]
        return _masked(signal, index)

    def embed(self, output: Output, reader: Reader, index: jax.Array) -> jax.Array:
        """The embeddings that `output` reads, (…, C) at the bins `index` (…)."""
        if self.reverse:
            index = turn_index(index, reader.width_bp // output.resolution_bp)
        return reader.read(self.network, LOADED_ORGANISM, output, index)

    def count(self, embedding: jax.Array, sites: jax.Array, *, width_bp: int) -> jax.Array:
        """Counts of junctions between sites (4, K), from their embeddings (4, K, C): (K, K, 2, T)."""
        head: JunctionHead = self.network.heads[str(Output.SPLICE_JUNCTIONS)]
        if self.reverse:
            return count_turned(head, embedding, sites, LOADED_ORGANISM, width_bp=width_bp)
        return head(embedding, sites, LOADED_ORGANISM)


def _predict(
    graph: nnx.GraphDef,
    reverse: bool,
    state: nnx.State,
    reader: Reader,
    places: Places,
    *,
    outputs: tuple[Output, ...],
) -> Signals:
    """The signals at `places.alternate`; at the anchor, the maximum over the span."""
    heads = _Heads(nnx.merge(graph, state), reverse)

    def predict(index: jax.Array) -> Signals:
        return {output: heads.predict(output, reader, index) for output in outputs}

    signals = _in_chunks(predict, places.alternate, (places.reference >= 0).sum())
    inserted = _maximum(predict, places.span)
    return jax.tree.map(
        lambda signal, largest: signal.at[places.anchor].set(largest, mode="drop"), signals, inserted
    )


def _choose(
    count: int,
    threshold: float,
    reference: jax.Array,
    alternate: jax.Array,
    positions: jax.Array,
    annotated: jax.Array,
    read: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """The sites that either allele or the annotation has, int32 (4, K), and how many the largest class has."""
    probability = jnp.maximum(jnp.maximum(reference, alternate)[:, : annotated.shape[1]], annotated)
    probability = jnp.where(read, probability, 0)
    sites = choose_sites(_masked(probability, positions), positions, count=count, threshold=threshold)
    return sites, (sites >= 0).sum(axis=1).max()


def _count(
    graph: nnx.GraphDef,
    reverse: bool,
    state: nnx.State,
    classes: Sequence[jax.Array],
    sites: jax.Array,
    places: Places,
    reference: Reader,
    alternate: Reader,
) -> tuple[Junctions, Junctions]:
    """Counts between the sites (4, K), of both alleles; `classes` are the signals that they were chosen by."""
    heads = _Heads(nnx.merge(graph, state), reverse)
    count = functools.partial(heads.count, sites=sites, width_bp=reference.width_bp)
    embed = functools.partial(heads.embed, Output.SPLICE_SITES)
    last = jnp.iinfo(jnp.int32).max
    index = jnp.searchsorted(jnp.where(places.reference < 0, last, places.reference), sites)
    moved = jnp.where(sites >= 0, places.alternate[index], -1)
    embedding = _masked(embed(alternate, moved), moved)
    inserted = _maximum(functools.partial(embed, alternate), places.span)
    at_anchor = (sites >= 0) & (index == places.anchor)
    embedding = jnp.where(at_anchor[..., None], inserted, embedding)
    # A NaN is no site: without this, a broken classifier would look like a gene without junctions.
    broken = jnp.where(jnp.isfinite(jnp.stack(classes)).all(), 0.0, jnp.nan)
    counts = count(_masked(embed(reference, sites), sites)) + broken
    return Junctions(sites, counts), Junctions(sites, count(embedding))


@functools.partial(jax.jit, static_argnames="scorer")
def _reduce(
    reference: Any, alternate: Any, masks: Mapping[str, jax.Array], *, scorer: Scorer
) -> tuple[Any, jax.Array]:
    """The scores, and whether all signals are finite."""
    leaves = jax.tree.leaves((reference, alternate))
    finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))
    return scorer.score(reference, alternate, masks), finite


def _in_chunks(predict: Callable[[jax.Array], Any], index: jax.Array, count: jax.Array) -> Any:
    """What `predict` makes of the first `count` of `index` (P,), a chunk at a time; 0 beyond."""
    size = min(_CHUNK_POSITIONS, len(index))
    if size == len(index):
        return predict(index)

    def fill(chunk: jax.Array, filled: Any) -> Any:
        start = chunk * size
        part = predict(jax.lax.dynamic_slice_in_dim(index, start, size))
        return jax.tree.map(
            lambda whole, values: jax.lax.dynamic_update_slice_in_dim(whole, values, start, axis=0),
            filled,
            part,
        )

    shapes = jax.eval_shape(predict, index)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    return jax.lax.fori_loop(0, -(-count // size), fill, zeros)


def _maximum(predict: Callable[[jax.Array], Any], span: jax.Array) -> Any:
    """The maximum over `span` (L,) of what `predict` makes of it, a chunk at a time; -inf for an empty span."""
    size = min(_CHUNK_POSITIONS, len(span))

    def take(chunk: jax.Array, largest: Any) -> Any:
        part = jax.lax.dynamic_slice_in_dim(span, chunk * size, size)
        return jax.tree.map(
            lambda known, values: jnp.maximum(
                known, jnp.where(_aligned_to(part >= 0, values), values, -jnp.inf).max(axis=0)
            ),
            largest,
            predict(part),
        )

    shapes = jax.eval_shape(predict, span)
    lowest = jax.tree.map(lambda leaf: jnp.full(leaf.shape[1:], -jnp.inf, leaf.dtype), shapes)
    return jax.lax.fori_loop(0, -(-(span >= 0).sum() // size), take, lowest)


def _masked(values: jax.Array, positions: jax.Array) -> jax.Array:
    """Zero where the position is padding."""
    return jnp.where(_aligned_to(positions >= 0, values), values, 0)


def _aligned_to(mask: jax.Array, values: jax.Array) -> jax.Array:
    return mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
