"""What the published programs print for an allele, written plainly from their rules: on text, one gene at a time.

Positions are 1-based, as in the programs. `Predict` returns the values of a sequence of one strand, without the margins
at its ends: (positions, values).
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

Predict = Callable[[str], np.ndarray]
_COMPLEMENT = str.maketrans("ACGT", "TGCA")
DONOR, ACCEPTOR = 0, 1  # columns of values


class PlainGene(NamedTuple):
    name: str
    strand: str
    transcripts: list[list[tuple[int, int]]]  # of exons, first and last base

    @property
    def ends(self) -> list[int]:
        """First and last bases of exons."""
        return sorted({end for exons in self.transcripts for exon in exons for end in exon})

    @property
    def introns(self) -> list[tuple[int, int]]:
        """The last base before each intron, and the first one after it."""
        pairs = (itertools.pairwise(exons) for exons in self.transcripts)
        return sorted({(left[1], right[0]) for pair in pairs for left, right in pair})


class PlainAllele(NamedTuple):
    contig: str
    pos: int
    ref: str
    alt: str

    def cut(self, first: int, last: int) -> str:
        """Return the reference from `first` to `last`; N before the contig, nothing after it."""
        return "N" * max(1 - first, 0) + self.contig[max(first - 1, 0) : last]


class PlainProgram(NamedTuple):
    """A program with its options."""

    genes: Sequence[PlainGene]
    predict: Predict
    margin: int
    distance: int
    masked: bool

    @property
    def reach(self) -> int:
        return self.margin + self.distance

    def both(
        self, window: str, allele: PlainAllele, strand: str, ends: tuple[int, int] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the values of both alleles, from a window that begins `reach` before POS, N outside of `ends`."""
        first = allele.pos - self.reach
        if ends is not None:
            window = "".join(
                base if ends[0] <= position <= ends[1] else "N" for position, base in enumerate(window, first)
            )
        changed = window[: self.reach] + allele.alt + window[self.reach + len(allele.ref) :]
        return self._predict(window, strand), self._predict(changed, strand)

    def _predict(self, window: str, strand: str) -> np.ndarray:
        if strand == "+":
            return self.predict(window)
        return self.predict(window[::-1].translate(_COMPLEMENT))[::-1]


def spliceai(program: PlainProgram, allele: PlainAllele) -> Iterator[str]:
    """Yield what SpliceAI prints for the genes of an allele; "." in the place of scores is left out."""
    distance, (contig, pos, ref, alt) = program.distance, allele
    if pos - program.reach < 1 or pos + program.reach > len(contig) or len(ref) > 2 * distance:
        return
    for gene in program.genes:
        if not gene.ends[0] <= pos <= gene.ends[-1] or min(len(ref), len(alt)) > 1:
            continue
        window = allele.cut(pos - program.reach, pos + program.reach)
        before, after = program.both(window, allele, gene.strand, (gene.ends[0], gene.ends[-1]))
        if len(ref) > 1:
            after = np.concatenate(
                [after[: distance + 1], np.zeros((len(ref) - 1, 2)), after[distance + 1 :]]
            )
        elif len(alt) > 1:
            inserted = after[distance : distance + len(alt)].max(axis=0)
            after = np.concatenate([after[:distance], [inserted], after[distance + len(alt) :]])
        nearest = min(gene.ends, key=lambda end: abs(end - pos)) - pos
        scores, offsets = [], []
        for kind in (ACCEPTOR, DONOR):
            for is_gain in (True, False):
                change = (after - before if is_gain else before - after)[:, kind]
                offset = int(change.argmax()) - distance
                keeps = (offset != nearest) == is_gain or not program.masked
                scores.append(f"{change.max() * keeps:.2f}")
                offsets.append(str(offset))
        yield "|".join([alt, gene.name, *scores, *offsets])


def cispliceai(program: PlainProgram, allele: PlainAllele) -> Iterator[str]:
    """Yield what CI-SpliceAI prints for the genes of an allele, or for both strands where there is none."""
    distance, (_, pos, ref, alt) = program.distance, allele
    size = 2 * program.reach + len(ref)
    window = allele.cut(pos - program.reach, pos - program.reach + size + size % 2 - 1)
    found = [gene for gene in program.genes if gene.introns and gene.ends[0] <= pos < gene.ends[-1]]
    for gene in found or [PlainGene(strand, strand, []) for strand in "+-"]:
        ends = (gene.ends[0], gene.ends[-1] - 1) if found else (-len(window), pos + program.reach)
        before, after = program.both(window, allele, gene.strand, ends)
        lost = len(before) - len(after)
        if lost > 0:
            after = np.concatenate([after[:distance], np.zeros((lost, 2)), after[distance:]])
        elif lost < 0:
            inserted = after[distance : distance - lost + 1].max(axis=0)
            after = np.concatenate([after[:distance], [inserted], after[distance - lost + 1 :]])
        change = after - before
        sides = [[intron[side] for intron in gene.introns] for side in (0, 1)]
        sites = dict(zip((DONOR, ACCEPTOR), sides if gene.strand == "+" else sides[::-1], strict=True))
        for kind, index in np.ndindex(2, len(change)) if program.masked else ():
            is_site = index + pos - distance in sites[kind]
            if is_site == (change[index, kind] >= 0):
                change[index, kind] = 0
        scores, offsets = [], []
        for column in change.T[[ACCEPTOR, DONOR]]:
            scores += [f"{column.max():.2f}", f"{-column.min():.2f}"]
            offsets += [str(index - distance) for index in (column.argmax(), column.argmin())]
        yield "|".join([alt, gene.name, *scores, *offsets])


def pangolin(program: PlainProgram, allele: PlainAllele, replicates: int) -> Iterator[str]:
    """Yield what Pangolin prints for the genes of an allele."""
    distance, (_, pos, ref, alt) = program.distance, allele
    if len(ref) > 2 * distance or (min(len(ref), len(alt)) > 1 and len(ref) != len(alt)):
        return
    if pos <= program.reach:  # where the program crashes
        return
    window = allele.cut(pos - program.reach, pos + len(ref) - 1 + program.reach)
    for strand in "+-":
        genes = [
            gene for gene in program.genes if gene.strand == strand and gene.ends[0] < pos <= gene.ends[-1]
        ]
        if not genes:
            continue
        changes = []
        for before, after in zip(*(values.T for values in program.both(window, allele, strand)), strict=True):
            lost = len(before) - len(after)
            if lost > 0:
                after = np.concatenate([after[: distance + 1], np.zeros(lost), after[distance + 1 :]])
            elif lost < 0:
                inserted = after[distance : distance - lost + 1].max(keepdims=True)
                after = np.concatenate([after[:distance], inserted, after[distance - lost + 1 :]])
            changes.append(after - before)
        tissues = [
            np.mean(changes[first : first + replicates], axis=0)
            for first in range(0, len(changes), replicates)
        ]
        loss, gain = np.min(tissues, axis=0), np.max(tissues, axis=0)
        for gene in genes:
            if program.masked:
                for index in range(len(loss)):
                    if index + pos - distance in gene.ends:
                        gain[index] = min(gain[index], 0)
                    else:
                        loss[index] = max(loss[index], 0)
            best, worst = gain.argmax(), loss.argmin()
            rise, fall = (
                f"{best - distance}:{round(gain[best], 2)}",
                f"{worst - distance}:{round(loss[worst], 2)}",
            )
            yield f"{gene.name}|{rise}|{fall}|Warnings:"
