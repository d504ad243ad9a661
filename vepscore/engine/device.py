"""Find the devices of a run, and the defaults that depend on them."""

import jax

from vepscore.errors import UsageError

_REMEDIES = {
    "gpu": "install vepscore[cuda], or pass --device cpu",
    "tpu": "install vepscore[tpu], or pass --device cpu",
    "auto": "unset JAX_PLATFORMS, or pass --device cpu",
}


def find_devices(kind: str) -> list[jax.Device]:
    """Return all devices of a kind that this process has, at least one; of CPUs always one.

    Args:
        kind: "cpu", "gpu", "tpu", or "auto" for the best that is available.

    Raises:
        UsageError: there is no such device.
    """
    try:
        return jax.local_devices(backend=None if kind == "auto" else kind)
    except (RuntimeError, AssertionError) as error:  # JAX asserts that a platform of JAX_PLATFORMS is present
        reason = str(error) or f"found none of JAX's platforms {jax.config.values['jax_platforms']}"
        raise UsageError(
            f"--device {kind}: no such device\n{reason}",
            hint=_REMEDIES.get(kind, "unset JAX_PLATFORMS"),
        ) from error


def default_precision(device: str) -> str:
    """Return the fast precision of a kind of device: bfloat16 except on CPUs."""
    return "float32" if device == "cpu" else "bfloat16"
