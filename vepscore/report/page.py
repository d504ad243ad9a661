"""A report as one HTML file that contains its style, scripts and data, and fetches nothing.

The page's content security policy forbids all requests, and all scripts except its own, which it names by their hashes.
Text of the input that got past the escaping would still not run.
"""

import base64
import hashlib
import importlib.resources
import json
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import vepscore
from vepscore.errors import requiring
from vepscore.paths import escape_bytes

if TYPE_CHECKING:
    from markupsafe import Markup

SUFFIXES = (".html", ".htm")
_STYLE, _SCRIPTS = ("page.css",), ("panel.js", "page.js")


def require_jinja() -> None:
    """Check that jinja2 is installed, an optional dependency; raise UsageError if not."""
    with requiring("reports are made with jinja2", "report"):
        import jinja2  # noqa: F401


def render_page(document: Mapping[str, Any]) -> str:
    """Return the HTML page of a document that `build_document` made, as valid Unicode."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vepscore.report", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    style, script = _read_assets(_STYLE), _read_assets(_SCRIPTS)
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'"
    page = environment.get_template("page.html").render(
        {**document, "panels": [pack_panel(panel) for panel in document["panels"]]},
        style=style,
        script=script,
        policy=policy,
        version=vepscore.__version__,
    )
    return escape_bytes(page)


def pack_panel(panel: Mapping[str, Any]) -> str:
    """Return a panel as base64 of deflated JSON, a fifth of its size. The page unpacks it when it is opened."""
    text = json.dumps(panel, sort_keys=True, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")


def _read_assets(names: tuple[str, ...]) -> "Markup":
    """Return files of the package as text that is not escaped, because they are our own."""
    from markupsafe import Markup

    folder = importlib.resources.files("vepscore.report") / "assets"
    return Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in names))


def _digest(text: str) -> str:
    digest = hashlib.sha256(str(text).encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
