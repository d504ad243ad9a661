"""A report as one HTML file that needs nothing else: style, scripts and data are in it, and nothing is fetched.

The page's policy forbids every request, and every script but its own, by their hashes: text of the input that should
get past the escaping would still not run.
"""

import base64
import contextlib
import hashlib
import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import vepscore
from vepscore.errors import UsageError
from vepscore.io.atomic import StagedWriter
from vepscore.io.streams import open_target, output_suffix
from vepscore.paths import escape_bytes

SUFFIXES = (".html", ".htm")
_STYLES = ("page.css",)
_SCRIPTS = ("picture.js", "panel.js", "page.js")


def require_jinja() -> None:
    """Makes sure that the library which fills in the template is installed, which is an extra.

    Raises:
        UsageError: it is not.
    """
    try:
        import jinja2  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            "reports are made with jinja2, which is not installed", hint="pip install 'vepscore[report]'"
        ) from error


def render_page(document: Mapping[str, Any]) -> str:
    """The page of a document, as `document.build_document` makes it."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vepscore.report", "assets"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "separators": (",", ":")}
    style, script = _joined(_STYLES), _joined(_SCRIPTS)
    policy = f"default-src 'none'; style-src {_digest(style)}; script-src {_digest(script)}; base-uri 'none'"
    return environment.get_template("page.html").render(
        document, style=style, script=script, policy=policy, version=vepscore.__version__
    )


class PageWriter(StagedWriter):
    """Writes a page.

    Args:
        path: where the file shall appear; .html or .htm.

    Raises:
        UsageError: the path has another suffix than SUFFIXES.
    """

    def __init__(self, path: Path) -> None:
        output_suffix(path, SUFFIXES)
        super().__init__(open_target(path), path)
        self._text = ""

    def write(self, text: str) -> None:
        """Takes the page."""
        self._text = text

    def _open(self) -> None:
        """There is nothing to write yet."""

    def _close(self) -> None:
        with contextlib.closing(self._target.open()) as file:
            file.write(escape_bytes(self._text).encode("utf-8"))


def _joined(names: tuple[str, ...]) -> Any:
    """Files of the package, as text that is not escaped; they are our own."""
    from markupsafe import Markup

    folder = importlib.resources.files("vepscore.report") / "assets"
    return Markup("\n".join((folder / name).read_text(encoding="utf-8") for name in names))


def _digest(text: str) -> str:
    digest = hashlib.sha256(str(text).encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"
