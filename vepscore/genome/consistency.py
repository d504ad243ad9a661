"""Check that the files of a run are of one assembly, by comparing what each states about its contigs.

Each problem gives one warning, which a run logs and writes to its summary. Files that state nothing, that agree, or
that only use other contig names (chr1, 1, NC_000001.11) give none.
"""

import collections
import dataclasses
import functools
import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from vepscore.genome.annotation import Annotation
from vepscore.genome.assemblies import assembly_of_length, assembly_of_lengths, assembly_of_text
from vepscore.genome.contigs import ContigNames
from vepscore.genome.fasta import Reference
from vepscore.genome.gtf import read_comments

log = logging.getLogger(__name__)

CONTRADICTION, NOT_FOUND, BARE = "contradiction", "contigs not found", "contigs without genes"
_SHOWN_CONTIGS = 5
_MIN_FOUND = 0.5  # warn if a smaller fraction is on contigs of the other file


class FileWarning(NamedTuple):
    """One problem between files."""

    kind: str  # CONTRADICTION, NOT_FOUND or BARE
    message: str  # the files, their contigs, what they state about them, and what to do


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContigSource:
    """What one file states about its contigs."""

    file: str  # name of the file
    contigs: Sequence[str]
    # bp by contig, if the file gives lengths; for an annotation, the end of the contig's last gene
    lengths: Mapping[str, int]
    is_annotation: bool = False  # the lengths are lower bounds
    stated: str = ""  # what the file states about its assembly, quoted

    @functools.cached_property
    def assembly(self) -> str:
        """Return the assembly that the lengths match, or else the one that is stated; "" if unknown."""
        by_length = "" if self.is_annotation else assembly_of_lengths(self.lengths.values())
        return by_length or assembly_of_text(self.stated)

    @functools.cached_property
    def names(self) -> ContigNames:
        """Return the contigs, which can be matched by other names."""
        return ContigNames(self.contigs)

    def describe(self, contig: str) -> str:
        """Return what the file states about one of its contigs, in one line."""
        length_bp = self.lengths[contig]
        if self.is_annotation:
            said = f"genes on {contig} up to {length_bp:,}"
        else:
            assembly = assembly_of_length(length_bp)
            said = f"{contig} has {length_bp:,} bp" + (f" ({assembly})" if assembly else "")
        return f"{self.file}: {said}" + (f"; states {self.stated}" if self.stated else "")

    def describe_assembly(self) -> str:
        """Return how the file identifies its assembly, in one line."""
        telling = [name for name, bp in self.lengths.items() if assembly_of_length(bp) == self.assembly]
        if telling and not self.is_annotation:
            return self.describe(telling[0])
        return f"{self.file}: states {self.stated}"


def contigs_of_reference(reference: Reference) -> ContigSource:
    """Return the contigs and lengths of a FASTA."""
    return ContigSource(file=reference.path.name, contigs=tuple(reference.contigs), lengths=reference.contigs)


def contigs_of_annotation(annotation: Annotation) -> ContigSource:
    """Return the contigs of a GTF with the ends of their last genes, and the assembly named in its comments."""
    comments = read_comments(annotation.path)
    stated = next(filter(assembly_of_text, comments), "") if assembly_of_text(" ".join(comments)) else ""
    return ContigSource(
        file=annotation.path.name,
        contigs=annotation.contigs.names,
        lengths=annotation.contig_ends(),
        is_annotation=True,
        stated=" ".join(stated.lstrip("#!").split()),
    )


def check_files(
    *,
    header: ContigSource | None = None,
    reference: Reference | None = None,
    annotation: Annotation | None = None,
) -> list[FileWarning]:
    """Compare the files of a run and log each warning."""
    sources = [header] if header else []
    sources += [contigs_of_reference(reference)] if reference else []
    sources += [contigs_of_annotation(annotation)] if annotation else []
    found = [find_contradiction(sources)]
    if reference and annotation:
        found.append(_find_foreign_genes(annotation, *sources[-2:]))
    return log_warnings(found)


def check_record_contigs(
    counts: Mapping[str, int], *, unit: str, reference: Reference | None, annotation: Annotation | None = None
) -> list[FileWarning]:
    """Compare the contigs of the records with those of the files and log each warning.

    Args:
        counts: number of records by contig name of the VCF.
        unit: what is counted, in the plural.
        reference: the FASTA.
        annotation: the GTF; used only if there is no reference.
    """
    if reference:
        known = contigs_of_reference(reference)
    elif annotation:
        known = contigs_of_annotation(annotation)
    else:
        return []
    return log_warnings([find_missing_contigs(counts, known, unit=unit)])


def log_warnings(warnings: Iterable[FileWarning | None]) -> list[FileWarning]:
    """Log the warnings that are not None and return them."""
    found = [warning for warning in warnings if warning]
    for warning in found:
        log.warning("%s", warning.message)
    return found


def find_contradiction(sources: Sequence[ContigSource]) -> FileWarning | None:
    """Return one warning about all contradictions between the files; None if there are none.

    Two files contradict each other if a contig of both differs in length, if genes lie past the end of their contig, or
    if their lengths or statements identify different assemblies.
    """
    lines: dict[str, None] = {}
    differing = 0
    for one, other in itertools.combinations(sources, 2):
        pairs = list(_differing(one, other))
        differing = max(differing, len(pairs))
        if pairs:
            lines |= dict.fromkeys([one.describe(pairs[0][0]), other.describe(pairs[0][1])])
        elif one.assembly and other.assembly and one.assembly != other.assembly:
            lines |= dict.fromkeys([one.describe_assembly(), other.describe_assembly()])
    if not lines:
        return None
    more = [f"{differing - 1} more contigs differ"] if differing > 1 else []
    text = ["the files contradict each other; are they of the same assembly?", *lines, *more]
    hint = "hint: coordinates differ between assemblies; give files of the same assembly"
    return FileWarning(CONTRADICTION, "\n  ".join([*text, hint]))


def _differing(one: ContigSource, other: ContigSource) -> Iterator[tuple[str, str]]:
    """Yield the contigs of both files whose lengths differ, by their names in each."""
    for contig, left in one.lengths.items():
        match = other.names.match(contig)
        if match is not None and match in other.lengths:
            right = other.lengths[match]
            if (left > right and not other.is_annotation) or (left < right and not one.is_annotation):
                yield contig, match


def find_missing_contigs(counts: Mapping[str, int], known: ContigSource, *, unit: str) -> FileWarning | None:
    """Return a warning if fewer than half of the records are on contigs of the file."""
    total = sum(counts.values())
    missing = {name: count for name, count in counts.items() if known.names.match(name) is None}
    if total - sum(missing.values()) >= _MIN_FOUND * total:
        return None
    return FileWarning(
        NOT_FOUND,
        f"{sum(missing.values())} of {total} {unit} are on contigs that {known.file} does not have\n"
        f"  the {unit}: {shorten_list(missing)}\n  {known.file}: {shorten_list(known.contigs)}\n"
        "  hint: give files of the same assembly with the same contig names; "
        "`bcftools annotate --rename-chrs` renames the contigs of a VCF",
    )


def _find_foreign_genes(annotation: Annotation, fasta: ContigSource, gtf: ContigSource) -> FileWarning | None:
    """Return a warning if neither half the genes nor half the bases are on contigs of both FASTA and GTF."""
    genes = collections.Counter(annotation.contigs.names[code] for code in annotation.genes.chrom.tolist())
    on_fasta = sum(count for name, count in genes.items() if fasta.names.match(name) is not None)
    in_gtf = sum(bp for name, bp in fasta.lengths.items() if gtf.names.match(name) is not None)
    if on_fasta >= _MIN_FOUND * genes.total() or in_gtf >= _MIN_FOUND * sum(fasta.lengths.values()):
        return None
    return FileWarning(
        NOT_FOUND,
        f"{gtf.file} and {fasta.file} have {'few' if on_fasta else 'no'} contigs in common, "
        f"so {'few' if on_fasta else 'no'} genes are scored\n"
        f"  {gtf.file}: {shorten_list(gtf.contigs)}\n  {fasta.file}: {shorten_list(fasta.contigs)}\n"
        "  hint: give a GTF of the reference's assembly with the same contig names",
    )


def shorten_list(contigs: Iterable[str]) -> str:
    """Return the first few contigs, separated by commas."""
    contigs = list(contigs)
    return ", ".join(contigs[:_SHOWN_CONTIGS]) + (" …" if len(contigs) > _SHOWN_CONTIGS else "")
