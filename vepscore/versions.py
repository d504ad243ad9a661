"""The versions of vepscore and of the packages that it uses, read without importing them."""

import importlib.metadata
import platform
import re

import vepscore

_DISTRIBUTION = "vepscore"
_COMPILER = "jaxlib"  # JAX's compiler and runtime
_NAME = re.compile(r"[\w.-]+")


def versions() -> dict[str, str]:
    """Return versions by name: vepscore, Python, the packages that vepscore requires, and JAX's compiler."""
    found = {_DISTRIBUTION: vepscore.__version__, "python": platform.python_version()}
    for name in [*_required(), _COMPILER]:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def describe_versions() -> str:
    """Return the versions for a bug report, one per line; the first line is the version of vepscore."""
    own, python, *packages = versions().items()
    lines = [" ".join(own), f"python {python[1]} on {platform.platform()}"]
    return "\n".join([*lines, *(f"{name} {version}" for name, version in packages)])


def _required() -> list[str]:
    """Return the names of the packages that vepscore requires, without those of extras."""
    try:
        requirements = importlib.metadata.requires(_DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:  # a source tree that is not installed
        return []
    return [_NAME.findall(text)[0] for text in requirements if "extra ==" not in text]
