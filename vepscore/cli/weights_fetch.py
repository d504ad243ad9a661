"""`vepscore weights fetch`: download an official checkpoint with the user's account, verify and import it."""

import enum
import logging
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from vepscore.cli.weights_import import DtypeOption, check_output, metadata_by_organism, write_imported
from vepscore.errors import CheckpointError, UsageError
from vepscore.options.option_types import Precision
from vepscore.paths import is_scratch

log = logging.getLogger(__name__)

_TERMS = """The AlphaGenome weights belong to Google DeepMind and come with terms of use. In short:
  - non-commercial use only, of the weights and of what they predict
  - predictions may not be used to train other models
  - not validated or approved for clinical use
This is a summary; the terms themselves apply: {url}"""


class Source(enum.StrEnum):
    huggingface = "huggingface"
    kaggle = "kaggle"


def fetch(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="alphagenome-all-folds, or alphagenome-fold-0 to -3.")
    ],
    source: Annotated[
        Source, typer.Option("--from", help="Site to download from, with the token of your account there.")
    ] = Source.huggingface,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="FILE",
            help="Track metadata, as in `weights import`. Default: human and mouse, from the official repository.",
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
        bool, typer.Option("--accept-terms", help="Accept the model terms without a prompt.")
    ] = False,
    keep_download: Annotated[
        bool, typer.Option("--keep-download", help="Keep the official files after the import.")
    ] = False,
) -> None:
    """Download an official AlphaGenome checkpoint with your account, and import it.

    Requires pip install 'vepscore\\[fetch]'. Rerun the command to resume a download that broke off.
    """
    from vepscore.genome.cache import cache_dir
    from vepscore.model.registry import user_weights_dir
    from vepscore.networks.alphagenome.official.downloads import locked
    from vepscore.networks.alphagenome.official.hub import CHECKPOINTS, check_online, fetch_metadata

    if name not in CHECKPOINTS:
        raise UsageError(f"{name!r} cannot be fetched\nexpected one of {', '.join(CHECKPOINTS)}")
    folder = cache_dir() / "downloads" / source / name
    output = output or user_weights_dir() / name
    check_output(output, source=folder)
    if is_scratch(output):
        raise UsageError(
            "there is no home directory for the checkpoint",
            hint="pass a directory to -o, or set VEPSCORE_WEIGHTS",
        )
    files = metadata_by_organism(metadata or ())
    check_online()
    _agree_to_terms(accept_terms)
    with locked(folder):
        files = files or fetch_metadata(folder / "metadata")
        official = _download(name, source, folder)
        try:
            write_imported(official, output, metadata=files, name=name, dtype=dtype)
        except BaseException:
            log.warning("the downloaded files are kept in %s", folder)
            raise
        if keep_download:
            log.info("the official files are kept in %s", official)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _agree_to_terms(accepted: bool) -> None:
    from vepscore.networks.alphagenome.official.hub import TERMS_URL

    print(_TERMS.format(url=TERMS_URL), file=sys.stderr)
    if accepted:
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


def _download(name: str, source: Source, folder: Path) -> Path:
    from vepscore.cli.progress import observing_bytes

    log.info("downloading %s from %s", name, source)
    if source is Source.kaggle:
        from vepscore.networks.alphagenome.official.kaggle import fetch_from_kaggle

        return fetch_from_kaggle(name, folder)
    from vepscore.networks.alphagenome.official.hub import fetch_from_huggingface

    with observing_bytes("downloading") as observe:
        return fetch_from_huggingface(name, folder, observe=observe)
