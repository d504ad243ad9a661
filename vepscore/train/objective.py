"""The targets of a batch of windows, from labels or from teachers, and the losses of a network's predictions.

Axes: B windows, S bp, L bins of 32 bp, W bins of 2,048 bp, T tracks of all outputs, K junction sites per class.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vepscore.genome.windows import UNKNOWN
from vepscore.model.network import one_hot
from vepscore.networks.alphagenome.heads import JunctionHead, LinearHead, TrackHead
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.outputs import SPLICE_CLASSES, Output
from vepscore.train.coverage import BIN_BP, COARSE_BP, TrackData
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
from vepscore.train.schedule import Weights
from vepscore.train.tss import tss_loss

_ORGANISM = np.int32(0)

# The arrays of a batch of `TrainingWindows`: NumPy's, or JAX's in a compiled function.
Arrays = Mapping[str, Any]


class Targets(NamedTuple):
    """Targets of training, and predictions in the same form."""

    sites: jax.Array  # (B, S, 5): probability of each class
    usage: jax.Array  # (B, S, 2)
    junctions: jax.Array | None  # (B, K, K, 2, 1); None in predictions without sites
    coverage: jax.Array  # (B, L, T): summed over each bin
    contacts: jax.Array | None  # (B, W, W, 1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective:
    """The targets and losses of a training on some coverage tracks."""

    weights: Weights
    coverage: TrackData

    def read_labels(self, batch: Arrays) -> Targets:
        """Return the targets that the labels give."""
        sites = jax.nn.one_hot(batch["classes"], len(SPLICE_CLASSES) + 1)
        junctions = junction_fractions(batch)
        return Targets(sites, batch["usage"], junctions, batch["coverage"], batch.get("contacts"))

    def predict_targets(self, network: AlphaGenome, batch: Arrays, part_bp: int | None) -> Targets:
        """Return the targets that a teacher gives: its predictions, averaged over both strands.

        Args:
            network: the teacher.
            batch: the student's windows.
            part_bp: width of the teacher's windows, if the student's are cut into shorter ones. Contacts are then those
                of the labels, and junctions those of the labels times the probabilities of their two sites.
        """
        if part_bp is None:
            return self._predict_both_strands(network, batch)
        found = self._predict_both_strands(network, {"codes": batch["codes"].reshape(-1, part_bp)})
        labels = self.read_labels(batch)
        parts = {
            name: getattr(found, name).reshape(getattr(labels, name).shape)
            for name in ("sites", "usage", "coverage")
        }
        junctions = junction_fractions(batch) * _pair_probabilities(parts["sites"], batch["sites"])
        return labels._replace(junctions=junctions, **parts)

    def _predict_both_strands(self, network: AlphaGenome, batch: Arrays) -> Targets:
        forward = self.predict(network, batch)
        backward = self._reverse_complement(self.predict(network, _reverse_complement(batch)))
        return jax.tree.map(lambda one, other: (one + other) / 2, forward, backward)

    def _reverse_complement(self, of: Targets) -> Targets:
        """Return the targets of the windows from those of their reverse complements."""
        return Targets(
            sites=of.sites[:, ::-1, REVERSED_CLASS],
            usage=of.usage[:, ::-1, ::-1],
            junctions=None if of.junctions is None else of.junctions[..., ::-1, :],
            coverage=of.coverage[:, ::-1, self.coverage.strand_pair],
            contacts=None if of.contacts is None else of.contacts[:, ::-1, ::-1],
        )

    def predict(self, network: AlphaGenome, batch: Arrays) -> Targets:
        """Return a network's predictions; junctions only if the batch has sites, contacts only if it has that head."""
        embeddings = _embed(network, batch)
        has_contacts = str(Output.CONTACT_MAPS) in network.heads
        fine = [_fine(network.head(output, TrackHead), embeddings) for output in self.coverage.columns]
        return Targets(
            sites=network.head(Output.SPLICE_SITES, LinearHead)(embeddings.bp1, _ORGANISM),
            usage=network.head(Output.SPLICE_SITE_USAGE, LinearHead)(embeddings.bp1, _ORGANISM),
            junctions=_predict_junctions(network, embeddings, batch) if "sites" in batch else None,
            coverage=_in_order(fine, self.coverage.columns),
            contacts=_predict_contacts(network, embeddings) if has_contacts else None,
        )

    def losses(
        self, network: AlphaGenome, batch: Arrays, targets: Targets, measured: Any
    ) -> dict[str, jax.Array]:
        """Return each loss by name, not weighted; `measured` bool (B, L) are the bins whose coverage counts."""
        embeddings = _embed(network, batch)
        logits = network.head(Output.SPLICE_SITES, LinearHead).linear(embeddings.bp1, _ORGANISM)
        usage = network.head(Output.SPLICE_SITE_USAGE, LinearHead).linear(embeddings.bp1, _ORGANISM)
        counts = _predict_junctions(network, embeddings, batch)
        assert targets.junctions is not None, "only predictions without sites lack junctions"
        losses = {
            "sites": splice_site_loss(logits, targets.sites, batch["valid"]),
            "usage": usage_loss(usage, targets.usage, targets.sites, batch["valid"]),
            "junctions": junction_loss(counts, targets.junctions, batch["sites"]),
        }
        for output in self.coverage.columns:
            head = network.head(output, TrackHead)
            losses |= self._track_losses(output, head, embeddings, targets.coverage, measured)
        if self.weights.tss:
            losses["tss"] = tss_loss(network, embeddings, batch["tss"], batch["valid"])
        if targets.contacts is not None:
            contacts = _predict_contacts(network, embeddings)
            losses["contacts"] = contact_loss(contacts, targets.contacts, batch["mapped"])
        return losses

    def total(self, losses: Mapping[str, jax.Array]) -> jax.Array:
        """Return the weighted sum of the losses."""
        weights = {"sites": 1.0} | {
            name: getattr(self.weights, name) for name in ("usage", "junctions", "contacts", "tss")
        }
        for output in self.coverage.columns:
            weights |= dict.fromkeys(_loss_names(output), self.weights.tracks[output])
            weights[_log_name(output)] = self.weights.log_coverage
        return sum((weights[name] * value for name, value in losses.items()), start=jnp.zeros(()))

    def _track_losses(
        self, output: Output, head: TrackHead, embeddings: Embeddings, coverage: jax.Array, measured: Any
    ) -> dict[str, jax.Array]:
        target = coverage[..., self.coverage.columns[output]]
        scale = functools.partial(
            scale_targets, means=jnp.asarray(self.coverage.tracks[output].nonzero_mean), squash=head.squash
        )
        fine = _fine(head, embeddings)
        fine_scaled, fine_target = (scale(each, resolution_bp=BIN_BP) for each in (fine, target))
        by = COARSE_BP // BIN_BP
        coarse_scaled = head.scaled(embeddings.bp128, _ORGANISM, resolution_bp=COARSE_BP)
        coarse = _pool(target, by)
        coarse_target = scale(coarse, resolution_bp=COARSE_BP)
        whole = measured.reshape(measured.shape[0], -1, by).all(axis=2)
        fine_name, coarse_name = _loss_names(output)
        losses = {
            fine_name: track_loss(fine_scaled, fine_target, measured),
            coarse_name: track_loss(coarse_scaled, coarse_target, whole),
        }
        if self.weights.log_coverage:
            spread = jnp.asarray(self.coverage.log_spread)[self.coverage.columns[output]]
            from_coarse = head.unscale(coarse_scaled, _ORGANISM, resolution_bp=COARSE_BP)
            both = [log_loss(each, coarse, spread, whole) for each in (_pool(fine, by), from_coarse)]
            losses[_log_name(output)] = (both[0] + both[1]) / 2
        return losses


def _fine(head: TrackHead, embeddings: Embeddings) -> jax.Array:
    """Return coverage summed over bins of BIN_BP."""
    return _pool(head(embeddings.bp1, _ORGANISM, resolution_bp=1), BIN_BP)


def _loss_names(output: Output) -> tuple[str, str]:
    """Return the names of an output's losses at the two resolutions."""
    return f"{output}_{BIN_BP}bp", f"{output}_{COARSE_BP}bp"


def _log_name(output: Output) -> str:
    """Return the name of an output's loss of log coverage, of both resolutions."""
    return f"{output}_log"


def _reverse_complement(batch: Arrays) -> Arrays:
    """Return what `predict` reads of the windows' reverse complements; each site keeps its index along K."""
    codes = batch["codes"][:, ::-1]
    mirrored = {"codes": jnp.where(codes < UNKNOWN, UNKNOWN - 1 - codes, codes)}
    if "sites" in batch:
        sites, width_bp = batch["sites"][:, REVERSED_CLASS[:NO_SITE]], codes.shape[1]
        mirrored["sites"] = jnp.where(sites < 0, sites, width_bp - 1 - sites)
    return mirrored


def _embed(network: AlphaGenome, batch: Arrays) -> Embeddings:
    return network(one_hot(batch["codes"], jnp.float32), _ORGANISM, rotary_dtype=jnp.float32)


def _predict_contacts(network: AlphaGenome, embeddings: Embeddings) -> jax.Array:
    """Return (B, W, W, 1)."""
    return network.head(Output.CONTACT_MAPS, LinearHead)(embeddings.pair, _ORGANISM)


def _predict_junctions(network: AlphaGenome, embeddings: Embeddings, batch: Arrays) -> jax.Array:
    """Return (B, K, K, 2, 1) between the sites of the batch."""
    head = network.head(Output.SPLICE_JUNCTIONS, JunctionHead)

    def count(embedding: jax.Array, sites: jax.Array) -> jax.Array:
        return head(embedding[jnp.maximum(sites, 0)], sites, _ORGANISM)

    return jax.vmap(count)(embeddings.bp1, batch["sites"])


def junction_fractions(batch: Arrays) -> jax.Array:
    """Return (B, K, K, 2, 1) from the sparse list."""
    windows, _, room = batch["sites"].shape
    donor, acceptor, strand = jnp.moveaxis(batch["junctions"], -1, 0)
    window = jnp.arange(windows)[:, None]
    empty = jnp.zeros((windows, room, room, 2, 1))
    return empty.at[window, donor, acceptor, strand, 0].add(batch["fractions"])


def _pair_probabilities(probabilities: jax.Array, sites: jax.Array) -> jax.Array:
    """Return (B, K, K, 2, 1): products of the probabilities (B, S, 5) of donors and acceptors, sites (B, 4, K)."""
    of_sites = jnp.take_along_axis(probabilities[..., :NO_SITE].swapaxes(1, 2), jnp.maximum(sites, 0), axis=2)
    strands = [of_sites[:, 2 * s, :, None] * of_sites[:, 2 * s + 1, None, :] for s in (0, 1)]
    return jnp.stack(strands, axis=-1)[..., None]


def _in_order(parts: list[jax.Array], columns: Mapping[Output, Any]) -> jax.Array:
    """Return the tracks of all outputs, in the order of the coverage's tracks."""
    order = jnp.argsort(jnp.concatenate([jnp.asarray(index) for index in columns.values()]))
    return jnp.concatenate(parts, axis=-1)[..., order]


def _pool(x: jax.Array, by: int) -> jax.Array:
    """Sum (B, L, T) over `by` bins: (B, L // by, T)."""
    return x.reshape(x.shape[0], -1, by, x.shape[-1]).sum(axis=2)
