"""Targets for unchanged sequence: the mean of the teachers' networks on chunks of a strand, kept in files.

Each file is written whole or not at all, so that labeling resumes where it was interrupted. Coordinates are 0-based;
P is the width of a chunk in bp.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import published
from vepscore.genome.windows import UNKNOWN, reverse_complement
from vepscore.train.segments import Segment
from vepscore.train.splicing.splice_teachers import SpliceTeachers

_LEAST_KNOWN = 0.5  # fraction of known bases in a chunk


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A chunk of one strand of a segment; its sequence is 5′ to 3′ of the strand."""

    segment: Segment
    start0: int  # on the chromosome
    width_bp: int
    strand: str
    in_gene: bool  # whether it shares a base with a gene of the strand

    def codes(self, first: int, width_bp: int) -> np.ndarray:
        """Return codes uint8 (width_bp,) from a position of the chunk on, which may be negative; N off the segment."""
        if self.strand == "+":
            return self.segment.window(self.start0 + first, width_bp)
        start0 = self.start0 + self.width_bp - first - width_bp
        return reverse_complement(self.segment.window(start0, width_bp))

    @property
    def file_name(self) -> str:
        """The name of its file, which depends on its sequence too."""
        checksum = zlib.crc32(self.codes(0, self.width_bp).tobytes())
        return f"{self.segment.chrom}_{self.start0}_{self.width_bp}_{self.strand}_{checksum:08x}.npy"


def list_chunks(segments: Sequence[Segment], annotation: Annotation | None, chunk_bp: int) -> list[Chunk]:
    """Return the chunks of both strands of all segments, without those that are mostly unknown.

    Without annotation, none is in a gene.
    """
    chunks = []
    for segment in {(each.chrom, each.start0, each.end0): each for each in segments}.values():
        for start0 in range(segment.start0, segment.end0, chunk_bp):
            if np.mean(segment.window(start0, chunk_bp) != UNKNOWN) < _LEAST_KNOWN:
                continue
            end0 = start0 + chunk_bp
            genes = annotation.genes_overlapping(segment.chrom, start0, end0) if annotation else []
            chunks += [
                Chunk(
                    segment=segment,
                    start0=start0,
                    width_bp=chunk_bp,
                    strand=strand,
                    in_gene=any(gene.strand == strand for gene in genes),
                )
                for strand in "+-"
            ]
    return chunks


def choose_chunks(chunks: Sequence[Chunk], genes: float, elsewhere: float, seed: int) -> list[Chunk]:
    """Return random fractions of the chunks in genes, which come first, and elsewhere.

    A larger fraction has the chunks of a smaller one, and at least one.
    """
    chosen = []
    for in_gene, fraction in ((True, genes), (False, elsewhere)):
        alike = [chunk for chunk in chunks if chunk.in_gene == in_gene]
        order = np.random.default_rng([seed, in_gene]).permutation(len(alike))
        chosen += [alike[index] for index in order[: int(np.ceil(fraction * len(alike)))]]
    return chosen


def label_chunks(
    chunks: Sequence[Chunk],
    teachers: SpliceTeachers,
    folder: Path,
    networks: int | None = None,
    observe: Callable[[int], None] = lambda _: None,
) -> None:
    """Label the chunks that have no file yet.

    Args:
        chunks: what to label.
        teachers: the networks.
        folder: directory of the files, for these teachers and this number of networks alone.
        networks: how many of each teacher label a chunk; its file name draws them. None for all.
        observe: called with the number of chunks that have a file, after each.
    """
    for number, chunk in enumerate(chunks, 1):
        path = folder / chunk.file_name
        if not path.exists():
            codes = chunk.codes(-teachers.flank_bp, chunk.width_bp + 2 * teachers.flank_bp)
            rng = np.random.default_rng(zlib.crc32(chunk.file_name.encode()))
            predicted = teachers.predict_mean(codes[None], rng, networks)[0]
            with published(path) as partial, partial.open("wb") as file:
                np.save(file, predicted.astype(np.float16))
        observe(number)


def read_labels(chunks: Sequence[Chunk], folder: Path) -> list[np.ndarray]:
    """Return the labels of each chunk: probabilities of donors and acceptors, float16 (P, 2)."""
    return [np.load(folder / chunk.file_name) for chunk in chunks]
