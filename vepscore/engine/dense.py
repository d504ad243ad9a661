"""The dense engine: whole forward passes for reference and alternate, heads where scorers read.

It is the plain way, and the oracle of every other: nothing is left out of the trunk, the tower or the decoder.
The heads are pointwise, so reading them only at the positions asked for changes no number.

A window on the minus strand is given to the network as its reverse complement; see `vepscore.engine.strand`.

Axes: B windows, S bp, C channels, P positions read, T real tracks, K junction sites per class.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.contract import Junctions, Reads, ScoreBlock, Scorer, Site
from vepscore.engine.intake import PreparedAllele
from vepscore.engine.selection import needed_outputs
from vepscore.engine.strand import (
    BETWEEN_BASES,
    count_turned,
    reverse_complement,
    turn_round,
    turned_channels,
)
from vepscore.genome.alignment import AlternateIndex, align_positions
from vepscore.model.checkpoint import LOADED_ORGANISM, Checkpoint
from vepscore.model.heads import JunctionHead, TrackHead, choose_sites
from vepscore.model.network import Embeddings, one_hot
from vepscore.outputs import Output


class NotFiniteError(Exception):
    """The device gave NaN or infinity for an allele."""


class Places(NamedTuple):
    """Where both alleles are read, as device arrays."""

    reference: Any  # int32 (P,), padded with -1
    alternate: Any  # int32 (P,): its counterparts; -1: zero
    anchor: Any  # int32 (): index within P that takes the maximum over `span`; P where none does
    span: Any  # int32 (L,), padded with -1
    annotated: Any  # bool (P, 4), SPLICE_JUNCTIONS only


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Request:
    """What one scorer asks for."""

    scorer: Scorer
    reads: Reads


class DenseEngine:
    """Scores alleles with one checkpoint.

    Args:
        checkpoint: the network and its tracks.
        scorers: which scores to make.
        rotary_dtype: dtype of the tower's rotary tables, "float32" or "bfloat16".
        batch: windows in one forward pass.
        strand: of the windows that the network reads, "+" or "-"; scores are about the plus strand's coordinates.

    Raises:
        CheckpointError: on "-", the tracks of an output that is read do not come in pairs of strands.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        scorers: Sequence[Scorer],
        *,
        rotary_dtype: str = "float32",
        batch: int = 1,
        strand: str = "+",
    ) -> None:
        self.tracks = checkpoint.tracks
        self.scorers = tuple(scorers)
        self.batch = batch
        self._organism = LOADED_ORGANISM
        reverse = {"+": False, "-": True}[strand]
        self._channels = {
            output: jnp.asarray(turned_channels(tracks) if reverse else tracks.channel)
            for output, tracks in self.tracks.items()
            if any(output in needed_outputs(scorer) for scorer in scorers)
        }
        self._graph, self._state = nnx.split(checkpoint.network)
        self._embed = jax.jit(functools.partial(_embed, self._graph, jnp.dtype(rotary_dtype), reverse))
        self._score = jax.jit(
            functools.partial(_score, self._graph, reverse), static_argnames=("output", "scorers")
        )
        self._last_reference: tuple[bytes, Embeddings] | None = None

    def score(self, alleles: Sequence[PreparedAllele]) -> list[list[ScoreBlock] | NotFiniteError]:
        """The blocks of each allele, in the order of the scorers; at most `batch` alleles, all with a site."""
        references = self._embed_references([allele.reference_codes for allele in alleles])
        alternates = self._embed_all([allele.alternate_codes for allele in alleles])
        results: list[list[ScoreBlock] | NotFiniteError] = []
        for allele, reference, alternate in zip(alleles, references, alternates, strict=True):
            try:
                results.append(self._score_allele(allele.site, reference, alternate))
            except NotFiniteError as error:
                results.append(error)
        return results

    def _embed_references(self, codes: Sequence[np.ndarray]) -> list[Embeddings]:
        """Each distinct window once; the last one is kept for the next call, as ALTs of a record share it."""
        known = dict([self._last_reference] if self._last_reference else [])
        keys = [window.tobytes() for window in codes]
        missing = {key: window for key, window in zip(keys, codes, strict=True) if key not in known}
        self._last_reference = None  # its memory is free for the next pass unless it is among those asked for
        known = {key: known[key] for key in keys if key in known}
        known |= zip(missing, self._embed_all(list(missing.values())), strict=True)
        self._last_reference = (keys[-1], known[keys[-1]])
        return [known[key] for key in keys]

    def _embed_all(self, codes: Sequence[np.ndarray]) -> list[Embeddings]:
        embeddings = []
        for first in range(0, len(codes), self.batch):
            chunk = list(codes[first : first + self.batch])
            filled = np.stack(chunk + [chunk[-1]] * (self.batch - len(chunk)))
            embeddings += self._embed(self._state, filled, self._organism)[: len(chunk)]
        return embeddings

    def _score_allele(self, site: Site, reference: Embeddings, alternate: Embeddings) -> list[ScoreBlock]:
        blocks: dict[str, ScoreBlock] = {}
        for output, requests in _group(self.scorers, site):
            group = tuple(request.scorer for request in requests)
            scores, finite = self._score(
                self._state,
                reference,
                alternate,
                _places(requests[0].reads, site),
                [dict(request.reads.masks) for request in requests],
                self._organism,
                self._channels,
                output=output,
                scorers=group,
            )
            if not finite:
                raise NotFiniteError(f"{output}: the device returned numbers that are not finite")
            for request, values in zip(requests, jax.device_get(scores), strict=True):
                block = request.scorer.rows(values, request.reads, site, self.tracks[output])
                blocks[request.scorer.name] = block
        return [blocks[scorer.name] for scorer in self.scorers if scorer.name in blocks]


def _group(scorers: Sequence[Scorer], site: Site) -> list[tuple[Output, list[_Request]]]:
    """Scorers that read the same output at the same places share the signals."""
    groups: dict[tuple, list[_Request]] = {}
    for scorer in scorers:
        reads = scorer.where(site)
        if reads is not None:
            annotated = b"" if reads.annotated_sites is None else reads.annotated_sites.tobytes()
            key = (scorer.output, reads.aligned, reads.positions.tobytes(), annotated)
            groups.setdefault(key, []).append(_Request(scorer=scorer, reads=reads))
    return [(key[0], requests) for key, requests in groups.items()]


def _places(reads: Reads, site: Site) -> Places:
    if reads.aligned:
        index = align_positions(reads.positions, site.allele, site.window)
    else:
        none = np.full(1, -1, np.int32)
        index = AlternateIndex(positions=reads.positions, anchor=np.int32(len(reads.positions)), span=none)
    return Places(
        reference=reads.positions,
        alternate=index.positions,
        anchor=index.anchor,
        span=index.span,
        annotated=reads.annotated_sites,
    )


def _embed(
    graph: nnx.GraphDef,
    rotary_dtype: jnp.dtype,
    reverse: bool,
    state: nnx.State,
    codes: jax.Array,
    organism: jax.Array,
) -> list[Embeddings]:
    """uint8 codes (B, S) to the embeddings of each window, without the batch axis."""
    network = nnx.merge(graph, state)
    dtype = network.encoder.embedder.conv.kernel.dtype
    if reverse:
        codes = reverse_complement(codes)
    embeddings = network(one_hot(codes, dtype), organism, rotary_dtype=rotary_dtype)
    if reverse:
        embeddings = turn_round(embeddings)
    return [jax.tree.map(lambda x, i=i: x[i], embeddings) for i in range(codes.shape[0])]


def _score(
    graph: nnx.GraphDef,
    reverse: bool,
    state: nnx.State,
    reference: Embeddings,
    alternate: Embeddings,
    places: Places,
    masks: Sequence[Mapping[str, jax.Array]],
    organism: jax.Array,
    channels: Mapping[Output, jax.Array],
    *,
    output: Output,
    scorers: tuple[Scorer, ...],
) -> tuple[list[Any], jax.Array]:
    """The scores of scorers that read the same places of one output, and whether all signals are finite.

    Embeddings are of one window each, without the batch axis.
    """
    heads = _Heads(nnx.merge(graph, state), organism, channels, reverse)
    if output is Output.SPLICE_JUNCTIONS:
        signals = heads.junctions(reference, alternate, places)
    else:
        signals = heads.tracks(output, reference, alternate, places)
    finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(signals)]))
    return [scorer.score(*signals, mask) for scorer, mask in zip(scorers, masks, strict=True)], finite


@dataclasses.dataclass(frozen=True)
class _Heads:
    """The network's heads, evaluated at the places that a scorer reads."""

    network: Any
    organism: jax.Array
    channels: Mapping[Output, jax.Array]  # of the real tracks, by output
    reverse: bool  # the network was given the minus strand

    def tracks(
        self, output: Output, reference: Embeddings, alternate: Embeddings, places: Places
    ) -> tuple[jax.Array, jax.Array]:
        """Signals of reference and alternate, float32 (P, T); (P, S // 2048, T) for contact maps."""
        if self.reverse and output in BETWEEN_BASES:
            places = _one_base_before(places)
        predict = functools.partial(self._predict, output)
        signal = _masked(predict(reference.of(output)[places.reference]), places.reference)
        return signal, _read_aligned(alternate.of(output), places, predict)

    def junctions(
        self, reference: Embeddings, alternate: Embeddings, places: Places
    ) -> tuple[Junctions, Junctions]:
        """Counts between the sites that either allele or the annotation has."""
        config = self.network.config
        classes = self.tracks(Output.SPLICE_SITES, reference, alternate, places)
        probability = jnp.maximum(jnp.maximum(*classes)[:, : places.annotated.shape[1]], places.annotated)
        probability = _masked(probability, places.reference)
        # A NaN is no site: without this, a broken classifier would look like a gene without junctions.
        broken = jnp.where(jnp.isfinite(probability).all(), 0.0, jnp.nan)
        sites = choose_sites(
            probability,
            places.reference,
            count=config.max_splice_sites,
            threshold=config.splice_site_threshold,
        )
        count = functools.partial(self._junction_counts, sites=sites, width_bp=len(reference.bp1))
        counts = count(_masked(reference.bp1[sites], sites))
        at_sites = _places_of_sites(sites, places)
        moved = jax.vmap(lambda places: _read_aligned(alternate.bp1, places, lambda x: x))(at_sites)
        return Junctions(sites, counts + broken), Junctions(sites, count(moved))

    def _predict(self, output: Output, embedding: jax.Array) -> jax.Array:
        """Predictions of the real tracks, float32 (…, T)."""
        head = self.network.heads[str(output)]
        resolution = {"resolution_bp": output.resolution_bp} if isinstance(head, TrackHead) else {}
        return head(embedding, self.organism, **resolution)[..., self.channels[output]]

    def _junction_counts(self, embedding: jax.Array, sites: jax.Array, width_bp: int) -> jax.Array:
        head: JunctionHead = self.network.heads[str(Output.SPLICE_JUNCTIONS)]
        if self.reverse:
            counts = count_turned(head, embedding, sites, self.organism, width_bp=width_bp)
        else:
            counts = head(embedding, sites, self.organism)
        return counts[..., self.channels[Output.SPLICE_JUNCTIONS]]


def _read_aligned(embedding: jax.Array, places: Places, predict: Any) -> jax.Array:
    """What `predict` makes of the alternate's embedding (S, …), in reference coordinates: (P, …)."""
    signal = _masked(predict(embedding[places.alternate]), places.alternate)
    inserted = predict(embedding[places.span])
    inserted = jnp.where(_aligned_to(places.span >= 0, inserted), inserted, -jnp.inf)
    return signal.at[places.anchor].set(inserted.max(axis=0), mode="drop")


def _one_base_before(places: Places) -> Places:
    """Where the network found, on the other strand, what lies between the bases; nothing at the window's start."""
    return places._replace(
        reference=places.reference - 1, alternate=places.alternate - 1, span=places.span - 1
    )


def _places_of_sites(sites: jax.Array, places: Places) -> Places:
    """The places of the chosen junction sites (4, K) among those read."""
    last = jnp.iinfo(jnp.int32).max
    ascending = jnp.where(places.reference < 0, last, places.reference)
    index = jnp.searchsorted(ascending, sites)
    known = sites >= 0
    at_anchor = known & (index == places.anchor)
    anchor = jnp.where(at_anchor.any(axis=1), at_anchor.argmax(axis=1), sites.shape[1])
    return Places(
        reference=sites,
        alternate=jnp.where(known, places.alternate[index], -1),
        anchor=anchor.astype(jnp.int32),
        span=jnp.broadcast_to(places.span, (sites.shape[0], *places.span.shape)),
        annotated=None,
    )


def _masked(values: jax.Array, positions: jax.Array) -> jax.Array:
    """Zero where the position is padding."""
    return jnp.where(_aligned_to(positions >= 0, values), values, 0)


def _aligned_to(mask: jax.Array, values: jax.Array) -> jax.Array:
    return mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
