"""What a network is asked to predict for a batch of windows, from labels or from teachers, and how far off it is.

Axes: B windows, S bp, L bins of 32 bp, W bins of 2,048 bp, T tracks of all outputs, K junction sites per class.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.genome.windows import UNKNOWN
from vepscore.model.heads import JunctionHead, TrackHead
from vepscore.model.network import AlphaGenome, Embeddings, one_hot
from vepscore.outputs import SPLICE_CLASSES, Output, Tracks
from vepscore.train.coverage import BIN_BP, COARSE_BP
from vepscore.train.labels import NO_SITE, REVERSED_CLASS
from vepscore.train.losses import (
    contact_loss,
    junction_loss,
    log_loss,
    scale_targets,
    splice_site_loss,
    track_loss,
    usage_loss,
)
from vepscore.train.recipe import Weights
from vepscore.train.tss import tss_loss

_ORGANISM = np.int32(0)

Arrays = Mapping[str, jax.Array]  # of a batch of `TrainingWindows`


class Targets(NamedTuple):
    """What is to be predicted."""

    sites: jax.Array  # (B, S, 5): probability of each class
    usage: jax.Array  # (B, S, 2)
    junctions: jax.Array | None  # (B, K, K, 2, 1)
    coverage: jax.Array  # (B, L, T): summed over each bin
    contacts: jax.Array | None  # (B, W, W, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """The losses of a run.

    Attributes:
        weights: what each loss counts for.
        tracks: of each output that is trained on coverage.
        columns: where each of these outputs stands among all tracks.
        strand_pair: int (T,), the track of the other strand, or the same one where it has no strand.
        log_spread: float32 (T,), the standard deviation of log(1 + coverage) in COARSE_BP.
    """

    weights: Weights
    tracks: Mapping[Output, Tracks]
    columns: Mapping[Output, Any]
    strand_pair: Any
    log_spread: Any

    def read_labels(self, batch: Arrays) -> Targets:
        """What the labels say."""
        sites = jax.nn.one_hot(batch["classes"], len(SPLICE_CLASSES) + 1)
        junctions = _junction_counts(batch)
        return Targets(sites, batch["usage"], junctions, batch["coverage"], batch.get("contacts"))

    def teach(self, network: AlphaGenome, batch: Arrays, part_bp: int | None) -> Targets:
        """What a teacher says, as the labels would say it: the mean of both strands.

        Args:
            network: the teacher.
            batch: the student's windows.
            part_bp: of the windows that the teacher sees, where the student's are cut into shorter ones; it then says
                nothing of contacts, which are the labels', and of junctions that they are as likely as their two sites.
        """
        if part_bp is None:
            return self._predict_both_strands(network, batch)
        said = self._predict_both_strands(network, {"codes": batch["codes"].reshape(-1, part_bp)})
        labels = self.read_labels(batch)
        parts = {
            name: getattr(said, name).reshape(getattr(labels, name).shape)
            for name in ("sites", "usage", "coverage")
        }
        junctions = labels.junctions * _pair_probabilities(parts["sites"], batch["sites"])
        return labels._replace(junctions=junctions, **parts)

    def _predict_both_strands(self, network: AlphaGenome, batch: Arrays) -> Targets:
        forward = self.predict(network, batch)
        backward = self._turn(self.predict(network, _reverse_complement(batch)))
        return jax.tree.map(lambda one, other: (one + other) / 2, forward, backward)

    def _turn(self, of: Targets) -> Targets:
        """From the reverse complements of the windows to the windows."""
        return Targets(
            sites=of.sites[:, ::-1, REVERSED_CLASS],
            usage=of.usage[:, ::-1, ::-1],
            junctions=None if of.junctions is None else of.junctions[..., ::-1, :],
            coverage=of.coverage[:, ::-1, self.strand_pair],
            contacts=None if of.contacts is None else of.contacts[:, ::-1, ::-1],
        )

    def predict(self, network: AlphaGenome, batch: Arrays) -> Targets:
        """What a network says, as the labels would say it; nothing of junctions where the batch names no sites."""
        embeddings, heads = _embed(network, batch), network.heads
        fine = [self._fine(heads[str(output)], embeddings) for output in self.columns]
        contacts = str(Output.CONTACT_MAPS)
        return Targets(
            sites=heads[str(Output.SPLICE_SITES)](embeddings.bp1, _ORGANISM),
            usage=heads[str(Output.SPLICE_SITE_USAGE)](embeddings.bp1, _ORGANISM),
            junctions=_count_junctions(heads[str(Output.SPLICE_JUNCTIONS)], embeddings, batch)
            if "sites" in batch
            else None,
            coverage=_in_order(fine, self.columns),
            contacts=heads[contacts](embeddings.pair, _ORGANISM) if contacts in heads else None,
        )

    def losses(
        self, network: AlphaGenome, batch: Arrays, targets: Targets, measured: jax.Array
    ) -> dict[str, jax.Array]:
        """Each loss by name, not weighted; `measured` bool (B, L) are the bins whose coverage counts."""
        embeddings, heads = _embed(network, batch), network.heads
        logits = heads[str(Output.SPLICE_SITES)].logits(embeddings.bp1, _ORGANISM)
        usage = heads[str(Output.SPLICE_SITE_USAGE)].logits(embeddings.bp1, _ORGANISM)
        counts = _count_junctions(heads[str(Output.SPLICE_JUNCTIONS)], embeddings, batch)
        losses = {
            "sites": splice_site_loss(logits, targets.sites, batch["valid"]),
            "usage": usage_loss(usage, targets.usage, targets.sites, batch["valid"]),
            "junctions": junction_loss(counts, targets.junctions, batch["sites"]),
        }
        for output in self.columns:
            losses |= self._track_losses(output, heads[str(output)], embeddings, targets.coverage, measured)
        if self.weights.tss:
            losses["tss"] = tss_loss(network, embeddings, batch["starts"], batch["valid"])
        if targets.contacts is not None:
            contacts = heads[str(Output.CONTACT_MAPS)](embeddings.pair, _ORGANISM)
            losses["contacts"] = contact_loss(contacts, targets.contacts, batch["mapped"])
        return losses

    def total(self, losses: Mapping[str, jax.Array]) -> jax.Array:
        """The weighted sum."""
        weights = {"sites": 1.0} | {
            name: getattr(self.weights, name) for name in ("usage", "junctions", "contacts", "tss")
        }
        for output in self.columns:
            weights |= dict.fromkeys(_loss_names(output), self.weights.tracks[output])
            weights[_log_name(output)] = self.weights.log_coverage
        return sum(weights[name] * value for name, value in losses.items())

    def _fine(self, head: TrackHead, embeddings: Embeddings) -> jax.Array:
        """Coverage summed over bins of 32 bp."""
        fine = head(embeddings.bp1, _ORGANISM, resolution_bp=1)
        return _pool(fine, BIN_BP)

    def _track_losses(
        self,
        output: Output,
        head: TrackHead,
        embeddings: Embeddings,
        coverage: jax.Array,
        measured: jax.Array,
    ) -> dict[str, jax.Array]:
        target = coverage[..., self.columns[output]]
        scale = {"means": jnp.asarray(self.tracks[output].nonzero_mean), "squash": head.squash}
        fine = self._fine(head, embeddings)
        fine_scaled, fine_target = (
            scale_targets(each, resolution_bp=BIN_BP, **scale) for each in (fine, target)
        )
        by = COARSE_BP // BIN_BP
        coarse_scaled = head.scaled(embeddings.bp128, _ORGANISM, resolution_bp=COARSE_BP)
        coarse = _pool(target, by)
        coarse_target = scale_targets(coarse, resolution_bp=COARSE_BP, **scale)
        whole = measured.reshape(measured.shape[0], -1, by).all(axis=2)
        values = (
            track_loss(fine_scaled, fine_target, measured),
            track_loss(coarse_scaled, coarse_target, whole),
        )
        losses = dict(zip(_loss_names(output), values, strict=True))
        if self.weights.log_coverage:
            spread = jnp.asarray(self.log_spread)[self.columns[output]]
            from_coarse = head.unscale(coarse_scaled, _ORGANISM, resolution_bp=COARSE_BP)
            both = [log_loss(each, coarse, spread, whole) for each in (_pool(fine, by), from_coarse)]
            losses[_log_name(output)] = sum(both) / len(both)
        return losses


def _loss_names(output: Output) -> tuple[str, str]:
    """Of the two resolutions."""
    return f"{output}_{BIN_BP}bp", f"{output}_{COARSE_BP}bp"


def _log_name(output: Output) -> str:
    """Of the loss of its logarithm, at both resolutions."""
    return f"{output}_log"


def _reverse_complement(batch: Arrays) -> Arrays:
    """What `predict` reads of the windows' reverse complements; each site keeps its place in its row."""
    codes = batch["codes"][:, ::-1]
    turned = {"codes": jnp.where(codes < UNKNOWN, UNKNOWN - 1 - codes, codes)}
    if "sites" in batch:
        sites, width_bp = batch["sites"][:, REVERSED_CLASS[:NO_SITE]], codes.shape[1]
        turned["sites"] = jnp.where(sites < 0, sites, width_bp - 1 - sites)
    return turned


def _embed(network: AlphaGenome, batch: Arrays) -> Embeddings:
    return network(one_hot(batch["codes"], jnp.float32), _ORGANISM, rotary_dtype=jnp.float32)


def _count_junctions(head: JunctionHead, embeddings: Embeddings, batch: Arrays) -> jax.Array:
    """(B, K, K, 2, 1) between the sites of the batch."""

    def count(embedding: jax.Array, sites: jax.Array) -> jax.Array:
        return head(embedding[jnp.maximum(sites, 0)], sites, _ORGANISM)

    return jax.vmap(count)(embeddings.bp1, batch["sites"])


def _junction_counts(batch: Arrays) -> jax.Array:
    """(B, K, K, 2, 1) from the sparse list."""
    windows, _, room = batch["sites"].shape
    donor, acceptor, strand = jnp.moveaxis(batch["junctions"], -1, 0)
    window = jnp.arange(windows)[:, None]
    empty = jnp.zeros((windows, room, room, 2, 1))
    return empty.at[window, donor, acceptor, strand, 0].add(batch["shares"])


def _pair_probabilities(probabilities: jax.Array, sites: jax.Array) -> jax.Array:
    """(B, K, K, 2, 1): the product of the probabilities (B, S, 5) that a donor and an acceptor of (B, 4, K) are one."""
    of_sites = jnp.take_along_axis(probabilities[..., :NO_SITE].swapaxes(1, 2), jnp.maximum(sites, 0), axis=2)
    strands = [of_sites[:, 2 * s, :, None] * of_sites[:, 2 * s + 1, None, :] for s in (0, 1)]
    return jnp.stack(strands, axis=-1)[..., None]


def _in_order(parts: list[jax.Array], columns: Mapping[Output, Any]) -> jax.Array:
    """The tracks of all outputs, in the order in which their coverage stands."""
    order = jnp.argsort(jnp.concatenate([jnp.asarray(index) for index in columns.values()]))
    return jnp.concatenate(parts, axis=-1)[..., order]


def _pool(x: jax.Array, by: int) -> jax.Array:
    """(B, L, T) summed over `by` bins: (B, L // by, T)."""
    return x.reshape(x.shape[0], -1, by, x.shape[-1]).sum(axis=2)
