"""The data that a recipe names: sequence, genes, coverage and contact maps, read once for all networks of a run."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from vepscore.errors import TrainingError
from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.model.registry import checkpoint_files
from vepscore.outputs import Output, Tracks
from vepscore.train.coverage import TrackData
from vepscore.train.labels import label_tracks
from vepscore.train.recipe import CommonRecipe
from vepscore.train.segments import Segment, read_segments, without
from vepscore.train.splice import SpliceData
from vepscore.train.training_windows import ContactMaps, TrainingWindows
from vepscore.train.tss import TssData

# Reads the files that the recipe's `data.contacts` names, by the keys of that table.
ReadContacts = Callable[[Mapping[str, Path]], ContactMaps]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingData:
    """All data that a recipe names."""

    segments: list[Segment]
    annotation: Annotation
    tracks: TrackData
    contacts: ContactMaps | None
    test: Collection[str]  # chromosomes that no network is trained on

    @property
    def tables(self) -> dict[Output, Tracks]:
        """The tracks of every output with training data."""
        contacts = {Output.CONTACT_MAPS: self.contacts.tracks} if self.contacts else {}
        return {**self.tracks.tracks, **label_tracks(), **contacts}

    def training_segments(self, held_out: Collection[str] = ()) -> list[Segment]:
        """Return the sequence to train on, excluding `held_out` chromosomes, test chromosomes and test regions."""
        intervals = [region.interval for region in self.tracks.regions if region.is_test]
        return without(self.segments, {*self.test, *held_out}, intervals)

    def windows(self, held_out: Collection[str]) -> TrainingWindows:
        """Return the windows of `training_segments`."""
        segments = self.training_segments(held_out)
        tss = TssData(segments, self.annotation)
        return TrainingWindows(SpliceData(segments, self.annotation), tss, self.tracks, self.contacts)

    def splice_on(self, chroms: Collection[str]) -> SpliceData:
        """Return the labeled sequence of some chromosomes."""
        return SpliceData([segment for segment in self.segments if segment.chrom in chroms], self.annotation)


def read_data(recipe: CommonRecipe, folder: Path, read_contacts: ReadContacts | None = None) -> TrainingData:
    """Read the files that a recipe names.

    Args:
        recipe: names the files.
        folder: the directory that holds them.
        read_contacts: reads contact maps; required if the recipe names files of them.

    Raises:
        TrainingError: a file is missing, or the recipe names contact maps and there is no reader of them.
        GenomeError: the sequence cannot be read.
        AnnotationError: the genes cannot be read.
    """
    files = recipe.data
    if files.contacts and read_contacts is None:
        raise TrainingError(
            "data.contacts: vepscore has no reader of contact maps",
            hint="train with a program that brings a reader of them, or remove this key",
        )
    if missing := [name for name in files.names if not (folder / name).is_file()]:
        raise TrainingError(f"{folder}\nlacks {', '.join(missing)}", hint="the recipe names them in [data]")
    contacts = {key: folder / name for key, name in files.contacts.items()}
    return TrainingData(
        segments=read_segments([folder / name for name in files.sequence], cache_dir()),
        annotation=Annotation.from_gtf(folder / files.genes, cache_dir()),
        tracks=TrackData(folder / files.tracks, files.test),
        contacts=read_contacts(contacts) if contacts and read_contacts else None,
        test=files.test,
    )


def list_inputs(
    recipe: CommonRecipe, folder: Path, start: Path | None, checkpoints: Sequence[Path] = ()
) -> list[Path]:
    """Return the files that a training run reads; some may not exist.

    Args:
        recipe: names the data.
        folder: the directory that holds them.
        start: directory of the run whose teachers these teachers are initialized from.
        checkpoints: directories of other checkpoints that are read.
    """
    signal = folder / recipe.data.tracks
    data = [folder / name for name in recipe.data.names]
    data += [signal.with_suffix(suffix) for suffix in (".tracks.tsv", ".regions.tsv")]
    data += [path for checkpoint in checkpoints for path in checkpoint_files(checkpoint)]
    return data if start is None else [*data, *(path for path in start.glob("teacher-*/*"))]
