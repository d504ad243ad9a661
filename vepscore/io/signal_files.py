"""Predicted signals as files: bigWigs of tracks, NPZ of contact maps, and a JSON list of the files.

Axes: B bins, T tracks. Coordinates are 0-based and half-open.
"""

import contextlib
import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from vepscore.io.atomic import writing
from vepscore.io.bigwig import BigWigWriter
from vepscore.io.staged_writer import StagedWriter, TextWriter, to_json
from vepscore.outputs import Output, Tracks

LIST_FILE = "prediction.json"
REFERENCE, ALTERNATE, DIFFERENCE = "reference", "alternate", "difference"  # alternate minus reference
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_STRANDS = {"+": "plus", "-": "minus"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegionSignals:
    """The signals of one output over bins of a region."""

    chrom: str
    start0: np.ndarray  # int (B,), ascending; may be negative at a contig's start
    end0: np.ndarray  # int (B,), exclusive; may lie past the contig's end
    tracks: Tracks
    reference: np.ndarray  # float32 (B, T); of CONTACT_MAPS (B, B, T)
    alternate: np.ndarray | None  # same shape, in the reference's coordinates; None without a variant

    def by_allele(self) -> dict[str, np.ndarray]:
        """Return the signals by allele, and their difference if there is an alternate."""
        if self.alternate is None:
            return {REFERENCE: self.reference}
        difference = self.alternate - self.reference
        return {REFERENCE: self.reference, ALTERNATE: self.alternate, DIFFERENCE: difference}


@dataclasses.dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """One file of a prediction."""

    file: str  # name in the folder
    output: str
    track: str  # "" if the file has several
    strand: str
    biosample: str
    allele: str  # "" if the file has several
    resolution_bp: int
    bins: int
    smallest: float
    mean: float
    largest: float


class ContactMapWriter(StagedWriter):
    """Write the contact maps of a region as one NPZ: (B, B, T) for each allele, and names of bins and tracks."""

    def write(self, signals: RegionSignals) -> None:
        """Write the maps."""
        tracks = signals.tracks
        arrays = {
            "chrom": np.array(signals.chrom),
            "start0": signals.start0.astype(np.int64),
            "end0": signals.end0.astype(np.int64),
            "track_name": tracks.name.astype(str),
            "biosample_name": tracks.biosample_name.astype(str),
            "ontology_curie": tracks.ontology_curie.astype(str),
            **signals.by_allele(),
        }
        with writing(self.name):
            np.savez_compressed(self._file, allow_pickle=False, **arrays)


def list_signal_files(folder: Path) -> list[Path]:
    """Return the files in a folder that a prediction may replace."""
    return sorted(
        path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name == LIST_FILE or path.suffix in (".npz", ".bw")
    )


def write_signals(
    folder: Path, signals: Sequence[RegionSignals], contigs: Mapping[str, int], facts: Mapping[str, str]
) -> list[WrittenFile]:
    """Write all files of a prediction. They appear together at the end, or not at all.

    Args:
        folder: an existing folder.
        signals: one for each output.
        contigs: length in bp by name, of the contigs that have signals.
        facts: inputs and settings of the prediction, for the list of files.

    Raises:
        OutputError: a file cannot be written.
    """
    written: list[WrittenFile] = []
    with contextlib.ExitStack() as stack:
        # Each file is closed at once and renamed at the end, because a process cannot keep so many open.
        for of_output in signals:
            if of_output.tracks.output is Output.CONTACT_MAPS:
                name = f"{of_output.tracks.output}.npz"
                maps = stack.enter_context(ContactMapWriter(folder / name))
                maps.write(of_output)
                maps.finish()
                written.append(_written_file(name, of_output, None, "", of_output.reference))
                continue
            for name, track, allele, values in _files_of(of_output):
                writer = stack.enter_context(BigWigWriter(folder / name, contigs))
                writer.write(of_output.chrom, of_output.start0, of_output.end0, values)
                writer.finish()
                written.append(_written_file(name, of_output, track, allele, values))
        listing = stack.enter_context(TextWriter(folder / LIST_FILE))
        document = {"made of": dict(facts), "files": [dataclasses.asdict(file) for file in written]}
        listing.write([to_json(document)])
        listing.finish()
    return written


def _files_of(signals: RegionSignals) -> Iterator[tuple[str, int, str, np.ndarray]]:
    """Yield name, track, allele and values (B,) of each bigWig."""
    names = track_names(signals.tracks)
    for allele, values in signals.by_allele().items():
        for track, name in enumerate(names):
            yield f"{name}.{allele}.bw", track, allele, values[:, track]


def track_names(tracks: Tracks) -> list[str]:
    """Return a distinct name for each track, from output, track and strand, that is safe as a file name."""
    parts = [
        [
            str(tracks.output),
            _UNSAFE.sub("_", name.removesuffix(strand)).strip("_") or "track",
            _STRANDS.get(strand, ""),
        ]
        for name, strand in zip(tracks.name, tracks.strand, strict=True)
    ]
    names = [".".join(filter(None, words)) for words in parts]
    counts = Counter(name.casefold() for name in names)
    return [name if counts[name.casefold()] == 1 else f"{name}.{index}" for index, name in enumerate(names)]


def _written_file(
    name: str, signals: RegionSignals, track: int | None, allele: str, values: np.ndarray
) -> WrittenFile:
    tracks = signals.tracks
    return WrittenFile(
        file=name,
        output=str(tracks.output),
        track="" if track is None else str(tracks.name[track]),
        strand="" if track is None else str(tracks.strand[track]),
        biosample="" if track is None else str(tracks.biosample_name[track]),
        allele=allele,
        resolution_bp=tracks.resolution_bp,
        bins=len(signals.start0),
        smallest=float(values.min()),
        mean=float(values.mean(dtype=np.float64)),
        largest=float(values.max()),
    )
