"""Score variants with AlphaGenome-class sequence models.

The Python API is small; `help(vepscore.load)` starts it. The command line is `vepscore --help`.

    import vepscore
    model = vepscore.load(reference="hg38.fa", genes="gencode.gtf.gz")
    model.score("chr1:94027417:G>A")

Importing this package imports neither JAX nor pandas; the first use of a name does.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vepscore.api import Model, load
    from vepscore.errors import VepscoreError
    from vepscore.report.ranked_frame import rank

__version__ = "0.2.0"
__all__ = ["Model", "VepscoreError", "__version__", "load", "rank"]

_MODULES = {"Model": "api", "VepscoreError": "errors", "load": "api", "rank": "report.ranked_frame"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
