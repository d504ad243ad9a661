"""`vepscore weights import`: convert published weights to our layout."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vepscore.errors import UsageError
from vepscore.options.option_types import Precision
from vepscore.paths import escape_bytes

ORGANISMS = ("human", "mouse")
DEFAULT_FAMILY = "alphagenome"


DtypeOption = Annotated[
    Precision, typer.Option("--dtype", help="Dtype of the stored parameters; bfloat16 takes half the space.")
]


def import_weights(
    family: Annotated[
        str,
        typer.Argument(
            metavar="FAMILY",
            help="Family of networks: a name from `vepscore weights families`. "
            "Without it, DIR alone is the official (Orbax) checkpoint of AlphaGenome.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Directory to create.")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[SOURCE]", help="The weights as published: a file or a directory."),
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="FILE",
            help="Table of an organism's tracks, for AlphaGenome a textproto file, uncompressed or gzipped; repeat for "
            "each organism. Use human:FILE or mouse:FILE if the file name does not contain the organism.",
        ),
    ] = None,
    dtype: DtypeOption = Precision.FLOAT32,
    name: Annotated[
        str | None, typer.Option(help="Name recorded in output files. Default: the name of OUT.")
    ] = None,
) -> None:
    """Convert published weights to our layout, which opens fast and offline. Nothing of them is executed."""
    if source is None:
        family, source = DEFAULT_FAMILY, Path(family)
    check_output(output, source=source)
    files = metadata_by_organism(metadata or ())
    write_imported(
        source,
        output,
        family=family,
        metadata=files,
        name=name or escape_bytes(output.resolve().name),
        dtype=dtype,
    )


def check_output(output: Path, *, source: Path) -> None:
    """Check that a checkpoint can be written to a directory.

    Args:
        output: the directory to write.
        source: the directory that is read.

    Raises:
        UsageError: `output` is a file, a directory that is not empty, or in `source`.
    """
    if output.resolve().is_relative_to(source.resolve()):
        raise UsageError(f"{output} is in the input directory {source}", hint="pass another directory to -o")
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists():
        raise UsageError(
            f"{output} exists already and is not overwritten",
            hint="pass another directory to -o, or remove this one first",
        )


def metadata_by_organism(values: Sequence[str]) -> dict[str, Path]:
    """Return the metadata files by organism, from FILE, human:FILE or mouse:FILE.

    Raises:
        UsageError: a file does not exist, its organism is unknown, or two are of one organism.
    """
    files: dict[str, Path] = {}
    for value in values:
        organism, path = _split(value)
        if not path.is_file():
            raise UsageError(f"--metadata {value}\n{path}: no such file")
        if organism in files:
            raise UsageError(f"--metadata {value}\n{files[organism]} is of the same organism, {organism}")
        files[organism] = path
    return files


def write_imported(
    source: Path,
    output: Path,
    *,
    family: str = DEFAULT_FAMILY,
    metadata: Mapping[str, Path],
    name: str,
    dtype: str,
) -> None:
    """Import published weights, and print a summary."""
    from vepscore.cli.progress import observing_bytes
    from vepscore.cli.tables import print_fields
    from vepscore.engine.settings import set_up_process
    from vepscore.model.family import find_family

    set_up_process("cpu")  # Orbax asks JAX for its devices
    with observing_bytes("importing") as observe:
        find_family(family).import_weights(
            source, output, name=name, metadata=metadata, dtype=str(dtype), observe=observe
        )
    print_fields(_describe(output))


def _split(value: str) -> tuple[str, Path]:
    from vepscore.networks.alphagenome.official.metadata import organism_of

    prefix, colon, rest = value.partition(":")
    if colon and prefix in ORGANISMS:
        return prefix, Path(rest)
    organism = organism_of(Path(value))
    if organism is None:
        raise UsageError(
            f"--metadata {value}\nthe file name does not state the organism, human or mouse",
            hint=f"--metadata human:{value} or --metadata mouse:{value}",
        )
    return organism, Path(value)


def _describe(output: Path) -> Iterator[tuple[str, str]]:
    from vepscore.model.checkpoint import TRACKS_FILE, checkpoint_digest, read_config
    from vepscore.model.track_table import read_organisms

    config = read_config(output)
    size = sum(path.stat().st_size for path in output.iterdir())
    yield "checkpoint", config.name
    yield "directory", str(output)
    yield "size", f"{size / 1e6:,.1f} MB"
    yield "organisms", ", ".join(read_organisms(output / TRACKS_FILE))
    yield "digest", f"sha256:{checkpoint_digest(output)}"
    yield "license", config.license
    if config.terms_notice:
        yield "terms", config.terms_notice
