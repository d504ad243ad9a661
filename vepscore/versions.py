"""The versions of what a run is made of; read without importing any of it."""

import importlib.metadata
import platform

import vepscore

_PACKAGES = ("jax", "jaxlib", "flax", "numpy", "pandas", "pyarrow", "pysam", "cyvcf2", "pyfaidx")


def versions() -> dict[str, str]:
    """Name to version: vepscore's own first, then Python's and those of the packages it computes and reads with."""
    found = {"vepscore": vepscore.__version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe_versions() -> str:
    """What a bug report needs, in a few lines; the first has our own version alone."""
    own, python, *packages = versions().items()
    lines = [" ".join(own), f"python {python[1]} on {platform.platform()}"]
    return "\n".join([*lines, *(f"{name} {version}" for name, version in packages)])
