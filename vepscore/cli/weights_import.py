"""`vepscore weights import`: convert an official checkpoint to our layout."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from vepscore.errors import UsageError
from vepscore.options.option_types import Precision
from vepscore.paths import escape_bytes

ORGANISMS = ("human", "mouse")


DtypeOption = Annotated[
    Precision, typer.Option("--dtype", help="Dtype of the stored parameters; bfloat16 takes half the space.")
]


def import_weights(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="The official (Orbax) checkpoint.")],
    metadata: Annotated[
        list[str],
        typer.Option(
            "--metadata",
            metavar="FILE",
            help="Track metadata of an organism, a textproto file, uncompressed or gzipped; repeat for each organism. "
            "Use human:FILE or mouse:FILE if the file name does not contain the organism.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT", help="Directory to create.")],
    dtype: DtypeOption = Precision.FLOAT32,
    name: Annotated[
        str | None, typer.Option(help="Name recorded in output files. Default: the name of OUT.")
    ] = None,
) -> None:
    """Convert an official checkpoint and its track metadata to our layout, which opens fast and offline."""
    check_output(output, source=directory)
    files = metadata_by_organism(metadata)
    if not directory.is_dir():
        raise UsageError(
            f"{directory}: no such directory", hint="pass the directory of the official checkpoint"
        )
    write_imported(
        directory, output, metadata=files, name=name or escape_bytes(output.resolve().name), dtype=dtype
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
    directory: Path, output: Path, *, metadata: Mapping[str, Path], name: str, dtype: str
) -> None:
    """Import the official checkpoint in `directory`, and print a summary."""
    from vepscore.cli.progress import observing_bytes
    from vepscore.cli.tables import print_fields
    from vepscore.engine.settings import set_up_process
    from vepscore.networks.alphagenome.official.orbax_checkpoint import import_checkpoint

    set_up_process("cpu")  # Orbax asks JAX for its devices
    with observing_bytes("importing") as observe:
        import_checkpoint(directory, output, metadata=metadata, name=name, dtype=str(dtype), observe=observe)
    print_fields(_describe(output, [organism for organism in ORGANISMS if organism in metadata]))


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


def _describe(output: Path, organisms: Sequence[str]) -> Iterator[tuple[str, str]]:
    from vepscore.model.checkpoint import checkpoint_digest, read_config

    config = read_config(output)
    size = sum(path.stat().st_size for path in output.iterdir())
    yield "checkpoint", config.name
    yield "directory", str(output)
    yield "size", f"{size / 1e6:,.1f} MB"
    yield "organisms", ", ".join(organisms)
    yield "digest", f"sha256:{checkpoint_digest(output)}"
    if config.terms_notice:
        yield "terms", config.terms_notice
