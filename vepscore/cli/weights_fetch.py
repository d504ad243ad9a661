"""`vepscore weights fetch`: download published weights, verify and import them."""

import logging
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vepscore.cli.tables import print_table
from vepscore.cli.weights_import import DtypeOption, check_output, metadata_by_organism, write_imported
from vepscore.errors import CheckpointError, UsageError
from vepscore.options.option_types import Precision
from vepscore.paths import is_scratch

if TYPE_CHECKING:
    from vepscore.model.published_weights import PublishedWeights

log = logging.getLogger(__name__)


def fetch(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="Network. Default: list all that can be downloaded."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SITE",
            help="Site to download from, where the list has several. Default: the first.",
        ),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="FILE",
            help="Track metadata of an official AlphaGenome checkpoint, as in `weights import`. Default: human and "
            "mouse, from the official repository.",
        ),
    ] = None,
    dtype: DtypeOption = Precision.FLOAT32,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="OUT",
            help="Directory to create. Default: one where `-c NAME` finds it.",
        ),
    ] = None,
    accept_terms: Annotated[
        bool, typer.Option("--accept-terms", help="Accept the terms of the weights without a prompt.")
    ] = False,
    keep_download: Annotated[
        bool, typer.Option("--keep-download", help="Keep the published files after the import.")
    ] = False,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="Print the list tab-separated without a header, even on a terminal."),
    ] = False,
) -> None:
    """Download the published weights of a network, check them, and import them.

    Shows their license first. Official AlphaGenome checkpoints need your account at the site, and your consent to the
    terms. Requires pip install 'vepscore\\[fetch]'. Rerun the command to resume a download that broke off. Columns of
    the list: name, family, megabytes, sites, license.
    """
    from vepscore.model.family import list_published_weights

    published = list_published_weights()
    if name is None:
        rows = [(family.name, weights) for family, weights in published.values()]
        columns = ("network", "family", "MB", "from", "license")
        print_table(columns, [_row(family, weights) for family, weights in rows], plain=plain)
        return
    if name not in published:
        raise UsageError(f"{name!r} cannot be fetched\nexpected one of {', '.join(published)}")
    family, weights = published[name]
    site = _choose_site(weights, source)
    _check_options(weights, metadata or (), dtype)
    _fetch(
        weights,
        family=family.name,
        site=site,
        metadata=metadata or (),
        dtype=dtype,
        output=output,
        accept_terms=accept_terms,
        keep_download=keep_download,
    )


def _fetch(
    weights: "PublishedWeights",
    *,
    family: str,
    site: str,
    metadata: Collection[str],
    dtype: str,
    output: Path | None,
    accept_terms: bool,
    keep_download: bool,
) -> None:
    from vepscore.cli.progress import observing_bytes
    from vepscore.genome.cache import cache_dir
    from vepscore.model.downloads import check_online, locked
    from vepscore.model.registry import user_weights_dir

    folder = cache_dir() / "downloads" / site / weights.name
    output = output or user_weights_dir() / weights.name
    check_output(output, source=folder)
    if is_scratch(output):
        raise UsageError(
            "there is no home directory for the checkpoint",
            hint="pass a directory to -o, or set VEPSCORE_WEIGHTS",
        )
    files = metadata_by_organism(tuple(metadata))
    check_online()
    _show_terms(weights, accept_terms)
    with locked(folder):
        files = files or weights.download_metadata(folder / "metadata")
        log.info("downloading %s from %s", weights.name, site)
        with observing_bytes("downloading") as observe:
            source = weights.download(folder, site=site, observe=observe)
        try:
            write_imported(source, output, family=family, metadata=files, name=weights.name, dtype=dtype)
        except BaseException:
            log.warning("the downloaded files are kept in %s", folder)
            raise
        if keep_download:
            log.info("the published files are kept in %s", source)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _row(family: str, weights: "PublishedWeights") -> tuple[str, ...]:
    size = "" if weights.size is None else f"{weights.size / 1e6:.1f}"
    return weights.name, family, size, ",".join(weights.sites), weights.license


def _choose_site(weights: "PublishedWeights", site: str | None) -> str:
    if site is not None and site not in weights.sites:
        raise UsageError(
            f"--from {site}: {weights.name} is not there\nexpected one of {', '.join(weights.sites)}"
        )
    return site or weights.sites[0]


def _check_options(weights: "PublishedWeights", metadata: Collection[str], dtype: str) -> None:
    """Raise UsageError before the download for what the import would refuse after it."""
    if metadata and not weights.takes_metadata:
        raise UsageError(f"--metadata: {weights.name} names its own tracks", hint="omit --metadata")
    if dtype not in weights.dtypes:
        raise UsageError(
            f"--dtype {dtype}: {weights.name} cannot be stored so\nexpected {' or '.join(weights.dtypes)}"
        )


def _show_terms(weights: "PublishedWeights", accepted: bool) -> None:
    """Print license and terms; where they ask for it, continue only with the user's consent."""
    print(f"{weights.name}: license {weights.license}\n{weights.terms}", file=sys.stderr)
    if accepted or not weights.asks_consent:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "the model terms were not accepted, and there is no terminal for a prompt",
            hint="read the terms, then rerun with --accept-terms",
        )
    # Not `typer.confirm`, which prints a blank to standard output.
    print("Do you accept the terms? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CheckpointError("the model terms were not accepted, so nothing was downloaded")
