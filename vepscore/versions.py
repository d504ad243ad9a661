"""The versions of what a run is made of; read without importing any of it."""

import importlib.metadata
import platform
import re

import vepscore

_DISTRIBUTION = "vepscore"
_COMPILER = "jaxlib"  # what JAX computes with
_NAME = re.compile(r"[\w.-]+")


def versions() -> dict[str, str]:
    """Return name to version: vepscore, Python, the packages that vepscore requires, and JAX's compiler."""
    found = {_DISTRIBUTION: vepscore.__version__, "python": platform.python_version()}
    for name in [*_required(), _COMPILER]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe_versions() -> str:
    """Return what a bug report needs, in a few lines; the first has vepscore's own version alone."""
    own, python, *packages = versions().items()
    lines = [" ".join(own), f"python {python[1]} on {platform.platform()}"]
    return "\n".join([*lines, *(f"{name} {version}" for name, version in packages)])


def _required() -> list[str]:
    """Return the names of the packages that are always required, not by an extra only."""
    try:
        requirements = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # a source tree that is not installed
        return []
    return [_NAME.match(text)[0] for text in requirements if "extra ==" not in text]
