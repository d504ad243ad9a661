"""The published tables of targets: which track of which output each column of a published head is.

The table of an organism has a line per column of the head, in order, with tab-separated fields:

    identifier     of the experiment, with + or - at its end if the track is stranded
    description    `ASSAY:biosample`, for ChIP-seq `CHIP:target:biosample`; the target "." is unknown
    strand_pair    index of the same experiment's track on the other strand; its own if the track is unstranded. All
                   tracks of a table without this field are unstranded.

    ASSAY    output
    ATAC     ATAC
    CAGE     CAGE
    CHIP     CHIP_HISTONE for the targets H2A…, H2B…, H3… and H4…, also in the name of the sample of an unknown
             target; CHIP_TF for all others
    DNASE    DNASE
    GRO      none: of nascent transcripts (GRO-seq) we have no output
    RNA      RNA_SEQ

Source: calico/basenji, `manuscripts/cross2020/targets_human.txt`; calico/borzoi, `examples/targets_human.txt`.
"""

import csv
import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from vepscore.errors import CheckpointError
from vepscore.genome.text_file import ENCODING
from vepscore.outputs import Output, Tracks
from vepscore.schema import field_error

_ASSAYS = {
    "ATAC": (Output.ATAC, "ATAC-seq"),
    "CAGE": (Output.CAGE, "CAGE"),
    "DNASE": (Output.DNASE, "DNase-seq"),
    "RNA": (Output.RNA_SEQ, "RNA-seq"),
}
_WITHOUT_OUTPUT = ("GRO",)
_UNKNOWN_TARGET = "."
_HISTONE = re.compile(r"H(?:2A|2B|3|4)")
_HISTONE_SAMPLE = re.compile(r"(?:^|[\s_])(H(?:2A|2B|3|4)(?:K\d+\w*?)?)(?=[\s_]|$)")
_LARGEST_BYTES = 1 << 24  # the published tables have up to 1.2 MB


class Description(NamedTuple):
    """What the description of a target says."""

    output: Output
    biosample: str
    assay: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Targets:
    """The columns of the published head of one organism.

    Attributes:
        rows: the line of each column, by the names of its fields.
        columns: of each output, the columns that are its tracks, ascending.
        tracks: of each output, with the channels 0, 1, … of our head.
    """

    rows: Sequence[Mapping[str, str]]
    columns: Mapping[Output, Int32[np.ndarray, " tracks"]]
    tracks: Mapping[Output, Tracks]


def read_targets(path: Path, *, hint: str, fields: Collection[str] = ()) -> Targets:
    """Read the table of one organism.

    Args:
        path: the file.
        hint: of errors, which file to pass.
        fields: names of fields that it must have, beside `identifier` and `description`.

    Raises:
        CheckpointError: the file cannot be read, lacks fields, or has descriptions or strands of another kind.
    """
    rows = _read_rows(path, {"identifier", "description", *fields}, hint=hint)
    found: dict[Output, list[tuple[int, Description, str]]] = {}
    for column, row in enumerate(rows):
        try:
            description, strand = parse_description(row["description"]), _strand(column, row)
        except ValueError as error:
            raise CheckpointError(f"{path} line {column + 2}\n{error}", hint=hint) from error
        if description is not None:
            found.setdefault(description.output, []).append((column, description, strand))
    ordered = {output: found[output] for output in Output if output in found}
    return Targets(
        rows=rows,
        columns={output: np.array([column for column, *_ in of], np.int32) for output, of in ordered.items()},
        tracks={
            output: create_tracks(
                output,
                name=[rows[column]["identifier"] for column, *_ in of],
                strand=[strand for *_, strand in of],
                biosample_name=[description.biosample for _, description, _ in of],
                assay=[description.assay for _, description, _ in of],
            )
            for output, of in ordered.items()
        },
    )


def parse_description(description: str) -> Description | None:
    """Parse the description of a target; None if we have no such output.

    Raises:
        ValueError: its first word is not a known one, or it has no biosample.
    """
    kind, _, rest = description.partition(":")
    if kind in _WITHOUT_OUTPUT:
        return None
    if kind in _ASSAYS and rest:
        output, assay = _ASSAYS[kind]
        return Description(output, rest, assay)
    target, _, biosample = rest.partition(":")
    if kind != "CHIP" or not (target and biosample):
        words = "".join(f"{assay}:…, " for assay in _ASSAYS)
        raise field_error("description", description, f"{words}or CHIP:target:biosample")
    if target == _UNKNOWN_TARGET:
        mark = _HISTONE_SAMPLE.search(biosample)
        target = mark[1] if mark else ""
    if _HISTONE.match(target):
        return Description(Output.CHIP_HISTONE, biosample, f"Histone ChIP-seq {target}")
    return Description(Output.CHIP_TF, biosample, f"TF ChIP-seq {target}".rstrip())


def head_sizes(targets: Collection[Targets]) -> dict[Output, int]:
    """Return the channels of each output's head: the tracks of the organism with more of them."""
    sizes = {
        output: max((len(table.tracks.get(output, ())) for table in targets), default=0) for output in Output
    }
    return {output: size for output, size in sizes.items() if size}


def create_tracks(
    output: Output,
    *,
    name: Sequence[str],
    strand: Sequence[str],
    biosample_name: Sequence[str],
    assay: Sequence[str],
    ontology_curie: Sequence[str] | None = None,
) -> Tracks:
    """Return tracks with the channels 0, 1, …, by whose means predictions are not scaled."""
    count = len(name)
    return Tracks(
        output=output,
        name=_text(name),
        strand=_text(strand),
        ontology_curie=_text([""] * count if ontology_curie is None else ontology_curie),
        biosample_name=_text(biosample_name),
        assay=_text(assay),
        nonzero_mean=np.ones(count, np.float32),
        channel=np.arange(count, dtype=np.int32),
    )


def _read_rows(path: Path, fields: set[str], *, hint: str) -> list[dict[str, str]]:
    table = csv.DictReader(_read_lines(path, hint=hint), delimiter="\t", quoting=csv.QUOTE_NONE)
    found = table.fieldnames or ()
    missing = fields.difference(found)
    if missing:
        raise CheckpointError(f"{path}: columns {', '.join(sorted(missing))} are missing", hint=hint)
    rows = [{name: row[name] or "" for name in found} for row in table]
    if not rows:
        raise CheckpointError(f"{path}: no targets", hint=hint)
    return rows


def _read_lines(path: Path, *, hint: str) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise CheckpointError(
                f"{path}: over {_LARGEST_BYTES >> 20} MiB, so not a table of targets", hint=hint
            )
        return content.decode(ENCODING).splitlines()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror or error})", hint=hint) from error
    except UnicodeDecodeError as error:
        raise CheckpointError(f"{path}: not text ({error})", hint=hint) from error


def _strand(column: int, row: Mapping[str, str]) -> str:
    """Return the strand of a track. Tracks of a pair are neighbors, that on + first, as `Tracks` pairs them.

    Raises:
        ValueError: `strand_pair` is another column.
    """
    pair = row.get("strand_pair", str(column))
    if pair == str(column):
        return "."
    strand = row["identifier"][-1:]
    if pair != str(column + {"+": 1, "-": -1}.get(strand, 0)):
        raise field_error(
            "strand_pair",
            pair,
            f"{column}, the index of the line; the index of the next line if the identifier ends with +; that of the "
            "line before if it ends with -",
        )
    return strand


def _text(values: Sequence[str]) -> np.ndarray:
    return np.array(values, dtype=object)
