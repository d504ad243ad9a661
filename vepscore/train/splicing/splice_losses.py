"""The losses of splice sites on transcribed sequence, against what teachers predict.

Axes: B windows, P positions. A network's three classes are no site, acceptor, donor; targets (B, P, 2) are the
probabilities of donors and acceptors.
"""

import jax
import jax.numpy as jnp

_ACCEPTOR, _DONOR = 1, 2  # classes of the head, see `vepscore.networks.compact.splice_heads`
_TINY = 1e-9


def site_probabilities(logits: jax.Array) -> jax.Array:
    """Return the probabilities of donors and acceptors (B, P, 2) from logits (B, P, 3)."""
    return jax.nn.softmax(logits)[..., jnp.array([_DONOR, _ACCEPTOR])]


def distillation_loss(logits: jax.Array, sites: jax.Array, valid: jax.Array) -> jax.Array:
    """Return the cross entropy of the classes less its least value, summed over positions, per expected site.

    logits (B, P, 3); sites (B, P, 2); valid bool (B, P), positions that count.
    """
    none = jnp.maximum(1 - sites.sum(axis=-1), 0)
    target = jnp.stack([none, sites[..., 1], sites[..., 0]], axis=-1)
    least = target * jnp.log(jnp.maximum(target, _TINY))
    divergence = jnp.sum(least - target * jax.nn.log_softmax(logits), axis=-1)
    return jnp.sum(divergence * valid) / expected_sites(sites, valid)


def change_loss(
    predicted: tuple[jax.Array, jax.Array],
    sites: tuple[jax.Array, jax.Array],
    source: jax.Array,
    valid: jax.Array,
) -> jax.Array:
    """Return the squared error of differences between both sequences, summed over positions, per expected site.

    Args:
        predicted: probabilities (B, P, 2) of the sequence without and with its changes.
        sites: the teacher's, in the same form.
        source: int32 (B, P), for each position after the changes that before them; -1 for none.
        valid: bool (B, P), positions of the sequence without changes that count.
    """
    errors = tuple(one - other for one, other in zip(predicted, sites, strict=True))
    index = jnp.maximum(source, 0)
    error = errors[1] - jnp.take_along_axis(errors[0], index[..., None], axis=1)
    counts = (source >= 0) & jnp.take_along_axis(valid, index, axis=1)
    return jnp.sum(jnp.square(error) * counts[..., None]) / expected_sites(sites[0], valid)


def expected_sites(sites: jax.Array, valid: jax.Array) -> jax.Array:
    """Return the number of sites that the teachers expect, and one more, so that it is never small."""
    return jnp.sum(sites * valid[..., None]) + 1
