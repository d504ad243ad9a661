"""The training losses of each head.

Axes: B windows, S bp, L bins, T tracks, K junction sites per class, W bins of 2,048 bp.
Source: Avsec et al., Nature 649:1206 (2026), Methods; google-deepmind/alphagenome_research 0.2.0, `model/losses.py`.
"""

import jax
import jax.numpy as jnp

from vepscore.networks.alphagenome.heads import SOFT_CLIP
from vepscore.train.labels import NO_SITE

_TINY = 1e-7
_POSITIONAL_WEIGHT = 5.0
_TOTAL_WEIGHT = 0.2


def splice_site_loss(logits: jax.Array, sites: jax.Array, valid: jax.Array) -> jax.Array:
    """Return the cross entropy over all valid positions, per expected site, because sites are rare.

    logits (B, S, 5); sites (B, S, 5), the target probability of each class; valid bool (B, S).
    """
    entropy = -jnp.sum(sites * jax.nn.log_softmax(logits, axis=-1), axis=-1)
    return jnp.sum(entropy * valid) / _site_count(sites, valid)


def usage_loss(logits: jax.Array, usage: jax.Array, sites: jax.Array, valid: jax.Array) -> jax.Array:
    """Return the binary cross entropy of the fraction of transcripts that use a site, per expected site.

    logits and usage (B, S, 2), sites (B, S, 5), valid bool (B, S).
    """
    entropy = jax.nn.softplus(logits) - usage * logits
    return jnp.sum(entropy * valid[..., None]) / _site_count(sites, valid)


def junction_loss(counts: jax.Array, target: jax.Array, sites: jax.Array) -> jax.Array:
    """Return the cross entropy of each site's partners, plus a Poisson loss of each site's total.

    counts and target (B, K, K, 2, T), donor × acceptor × strand; sites int32 (B, 4, K), padded with -1.
    """
    real = sites >= 0
    pairs = jnp.stack(
        [real[:, 0, :, None] & real[:, 1, None, :], real[:, 2, :, None] & real[:, 3, None, :]], axis=-1
    )[..., None]
    loss = jnp.zeros(())
    for axis in (1, 2):
        total, total_target = (jnp.sum(x, axis=axis, where=pairs, keepdims=True) for x in (counts, target))
        spliced = (total_target > 0) & jnp.any(pairs, axis=axis, keepdims=True)
        fraction = (target + _TINY) / (total_target + _TINY)
        entropy = jnp.sum(-fraction * jnp.log((counts + _TINY) / (total + _TINY)), axis=axis, where=pairs)
        loss += _masked_mean(entropy, jnp.squeeze(spliced, axis))
        any_pair = jnp.squeeze(jnp.any(pairs, axis=axis, keepdims=True), axis)
        loss += _TOTAL_WEIGHT * _poisson(jnp.squeeze(total, axis), jnp.squeeze(total_target, axis), any_pair)
    return loss


def track_loss(scaled: jax.Array, target: jax.Array, measured: jax.Array) -> jax.Array:
    """Return a multinomial loss of the positions of a window's signal, plus a Poisson loss of its total.

    scaled and target (B, L, T) in the head's training space, measured bool (B, L).
    """
    mask = measured[..., None]
    scaled, target = scaled * mask, jnp.maximum(target, 0) * mask
    total, total_target = (jnp.sum(x, axis=1, keepdims=True) for x in (scaled, target))
    positional = -target * jnp.log(scaled / (total + _TINY) + _TINY)
    any_bin = jnp.any(mask, axis=1, keepdims=True)
    count = _poisson(total, total_target, any_bin) / scaled.shape[1]
    return count + _POSITIONAL_WEIGHT * _masked_mean(positional, mask)


def log_loss(coverage: jax.Array, target: jax.Array, spread: jax.Array, measured: jax.Array) -> jax.Array:
    """Return the mean squared error of log(1 + coverage), in standard deviations; not one of the paper's losses.

    The paper's losses are insensitive to differences between bins without a peak, which a correlation of logarithms
    measures.

    coverage and target (B, L, T), summed over each bin; spread (T,), the standard deviations; measured bool (B, L).
    """
    error = (jnp.log1p(coverage) - jnp.log1p(jnp.maximum(target, 0))) / spread
    return _masked_mean(jnp.square(error), measured[..., None])


def contact_loss(contacts: jax.Array, target: jax.Array, measured: jax.Array) -> jax.Array:
    """Return the mean squared error over the measured pairs of bins.

    contacts and target (B, W, W, T), log(observed / expected); measured bool (B, W, W).
    """
    return _masked_mean(jnp.square(contacts - target), measured[..., None])


def scale_targets(coverage: jax.Array, means: jax.Array, *, resolution_bp: int, squash: float) -> jax.Array:
    """Scale coverage summed over bins (…, T) to the head's training space: divide by mean, squash, soft-clip."""
    x = coverage / (means * resolution_bp)
    if squash != 1.0:
        x = jnp.power(jnp.maximum(x, _TINY), squash)
    return jnp.where(x > SOFT_CLIP, 2 * jnp.sqrt(jnp.maximum(x, SOFT_CLIP) * SOFT_CLIP) - SOFT_CLIP, x)


def _site_count(sites: jax.Array, valid: jax.Array) -> jax.Array:
    return jnp.maximum(jnp.sum((1 - sites[..., NO_SITE]) * valid), 1)


def _poisson(predicted: jax.Array, target: jax.Array, mask: jax.Array) -> jax.Array:
    """Return the Poisson loss, offset so that it is zero where the prediction equals the target."""
    at_best = target - target * jnp.log(target + _TINY)
    return _masked_mean(predicted - target * jnp.log(predicted + _TINY) - at_best, mask)


def _masked_mean(x: jax.Array, mask: jax.Array) -> jax.Array:
    mask = jnp.broadcast_to(mask, x.shape)
    return jnp.sum(x * mask) / jnp.maximum(jnp.sum(mask), 1)
