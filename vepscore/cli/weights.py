"""`vepscore weights`: list, describe and verify checkpoints."""

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vepscore.cli.option_groups import expand
from vepscore.cli.tables import print_fields, print_table
from vepscore.cli.weights_fetch import fetch
from vepscore.cli.weights_import import import_weights
from vepscore.errors import VepscoreError

if TYPE_CHECKING:
    from vepscore.model.checkpoint import CheckpointConfig

log = logging.getLogger(__name__)

app = typer.Typer(no_args_is_help=True, help="List, inspect, verify, import and fetch checkpoints.")

Name = Annotated[
    str | None,
    typer.Argument(
        metavar="[NAME]",
        help="Name from `vepscore weights list`, or a directory. Default: the embedded checkpoint.",
    ),
]
Plain = Annotated[
    bool, typer.Option("--plain", help="Print tab-separated columns without a header, even on a terminal.")
]


@app.command("list")
def list_weights(plain: Plain = False) -> None:
    """List the checkpoints that can be selected by name.

    They come with the package or are in $VEPSCORE_WEIGHTS (default: a folder of the user's data directory). Columns:
    name, directory, remark, family, default window, outputs, license.
    """
    from vepscore.model.registry import EMBEDDED_NAME, list_checkpoints

    rows, seen = [], set()
    for path in list_checkpoints():
        default = "default" if path.name == EMBEDDED_NAME else ""
        remark = "select it by directory: the name is taken" if path.name in seen else default
        rows.append((path.name, str(path), remark, *_summarize(path)))
        seen.add(path.name)
    print_table(
        ("checkpoint", "directory", "remark", "family", "window", "outputs", "license"), rows, plain=plain
    )
    sys.stdout.flush()  # so that a closed pipe fails here, before the log line
    log.info("`vepscore weights fetch` lists the checkpoints that can be downloaded")


@app.command()
def families(plain: Plain = False) -> None:
    """List the families of networks. Columns: name, module, distribution, remark."""
    from vepscore.plugins import NETWORKS, list_plugins

    rows = [
        (
            entry.name,
            entry.module,
            entry.origin,
            f"shadowed by {entry.shadowed_by}" if entry.shadowed_by else "",
        )
        for entry in list_plugins(NETWORKS)
    ]
    print_table(("family", "module", "from", "remark"), rows, plain=plain)


@app.command()
def info(name: Name = None) -> None:
    """Show the outputs, license and training of a checkpoint."""
    from vepscore.model.checkpoint import read_config
    from vepscore.model.registry import resolve_checkpoint

    path = resolve_checkpoint(name)
    print_fields(_describe(path, read_config(path)))


@app.command()
def verify(name: Name = None) -> None:
    """Compare every file of a checkpoint with its hash."""
    from vepscore.model.checkpoint import verify_checkpoint
    from vepscore.model.registry import resolve_checkpoint

    path = resolve_checkpoint(name)
    verify_checkpoint(path)
    print(f"{path}: all checksums match")


app.command("import")(expand(import_weights))
app.command()(expand(fetch))


def _summarize(path: Path) -> tuple[str, str, str, str]:
    """Return family, default window, outputs and license of a checkpoint; "" for what cannot be read.

    The family is not imported: that takes seconds.
    """
    from vepscore.model.registry import FILES, OFFICIAL_FAMILY
    from vepscore.model.track_table import read_outputs

    config_file, tracks_file, *_ = FILES

    try:
        config = json.loads((path / config_file).read_text())
        outputs = ",".join(read_outputs(path / tracks_file))
        window = f"{int(config['window_bp']):,} bp"
        stated = str(config.get("license") or config["licence"])  # as earlier versions spelled it
        return str(config.get("family", OFFICIAL_FAMILY)), window, outputs, stated
    except (OSError, ValueError, KeyError, TypeError, VepscoreError) as error:
        log.debug("%s: %s", path, error)
        return "", "", "", ""


def _describe(path: Path, config: "CheckpointConfig") -> Iterator[tuple[str, str]]:
    from vepscore.io.quantiles import list_quantiles
    from vepscore.model.checkpoint import checkpoint_digest

    yield "checkpoint", config.name
    yield "family", config.family
    yield "parameters", f"{_count_parameters(config):,}"
    yield "default window", f"{config.window_bp:,} bp"
    yield "default indel anchor", str(config.indel_anchor)
    yield "default scorers", ", ".join(config.scorers) if config.scorers else "all that can run"
    yield "organisms", ", ".join(config.organisms)
    for organism in config.organisms:
        yield f"tracks, {organism}", _describe_tracks(path, organism)
    yield "license", config.license
    if config.terms_notice:
        yield "terms", config.terms_notice
    yield "training", "\n".join(_describe_training(config.training)) or "not stated"
    yield "quantiles", "\n".join(file.name for file in list_quantiles(path)) or "none"
    yield "directory", str(path)
    yield "digest", f"sha256:{checkpoint_digest(path)}"


def _describe_tracks(path: Path, organism: str) -> str:
    from vepscore.model.checkpoint import TRACKS_FILE
    from vepscore.model.track_table import read_organisms, read_tracks

    if organism not in read_organisms(path / TRACKS_FILE):
        return "none: imported without metadata"
    tables = read_tracks(path / TRACKS_FILE, organism)
    return "\n".join(f"{output} {len(tracks)}" for output, tracks in tables.items())


def _describe_training(training: Mapping[str, Any]) -> Iterator[str]:
    for key, value in training.items():
        values = value if isinstance(value, list) else [value]
        for element in values if any(isinstance(element, Mapping) for element in values) else [values]:
            yield f"{key.replace('_', ' ')}: {_inline(element)}"


def _inline(value: Any) -> str:
    """Format a JSON value on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(key)} {_inline(element)}" for key, element in value.items())
    if isinstance(value, list):
        return ", ".join(map(_inline, value))
    return str(value)


def _words(key: str) -> str:
    """Format a key as words; a file name stays unchanged."""
    return key.replace("_", " ") if key.isidentifier() else key


def _count_parameters(config: "CheckpointConfig") -> int:
    """Count the parameters of a network without creating it."""
    from vepscore.model.family import abstract_network, find_family
    from vepscore.model.loading import parameter_count

    return parameter_count(abstract_network(find_family(config.family), config.architecture))
