"""From a record to alleles ready to be scored, each with its sequences, or with a status that says why not.

Coordinates are 0-based and half-open. Axis: S bp of the window.
"""

import dataclasses
import enum
import functools
import math
from collections.abc import Iterator

import numpy as np

from vepscore.contract import Scorer, Site
from vepscore.errors import GenomeError
from vepscore.genome.alleles import Allele, Status, classify_text, more_severe
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference, reference_matches
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.normalization import normalize
from vepscore.genome.polya import PolyASites
from vepscore.genome.windows import (
    allele_sequences,
    n_fraction,
    right_anchored_sequence,
    window_around,
)
from vepscore.io.records import Record

MAX_N_FRACTION = 0.9
_MAX_ALLELE_SHARE = 4  # an allele may fill one part in so many of the window
_SHOWN_BASES = 20
_classify_ref = functools.lru_cache(maxsize=1)(classify_text)  # once for all ALTs of a record


class MismatchPolicy(enum.StrEnum):
    """What to do where REF differs from the reference genome."""

    SKIP = "skip"  # status REF_MISMATCH
    SUBSTITUTE = "substitute"  # write REF over the sequence, as the official code does
    ERROR = "error"  # end the run


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PreparedAllele:
    """One ALT of a record; with a `site` when it can be scored."""

    alt: str  # as it stands in the VCF
    status: Status
    reason: str = ""  # why the status is not OK
    n_fraction: float = math.nan  # share of the reference window that is N
    site: Site | None = None
    reference_codes: np.ndarray | None = None  # uint8 (S,)
    alternate_codes: np.ndarray | None = None  # uint8 (S,)
    right_codes: np.ndarray | None = (
        None  # uint8 (S,): the alternate in the right-anchored window, where it has two
    )

    @property
    def changes_nothing(self) -> bool:
        """Whether the alternate is the reference: ALT equals REF, or a region is read without a variant."""
        return self.alternate_codes is not None and self.alternate_codes is self.reference_codes

    @property
    def alternates(self) -> tuple[np.ndarray, ...]:
        """The codes of each window in which the alternate is predicted: none, one, or left- and right-anchored."""
        if self.changes_nothing:
            return ()
        return tuple(codes for codes in (self.alternate_codes, self.right_codes) if codes is not None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllelePreparer:
    """Prepares the alleles of records for one run."""

    reference: Reference
    window_bp: int
    align_bp: int = 1  # window starts are rounded to multiples of it
    annotation: Annotation | None = None
    polya: PolyASites | None = None
    on_mismatch: MismatchPolicy = MismatchPolicy.SKIP
    as_written: bool = False  # alleles as the record has them, and not normalised
    scorers: tuple[Scorer, ...] | None = None  # of the run; None: every allele is prepared
    indel_anchor: IndelAnchor = IndelAnchor.LEFT
    assembly: str = ""  # what the VCF's header says of it, for messages
    source: str = ""  # name of the VCF, for messages

    def prepare(self, record: Record) -> Iterator[PreparedAllele]:
        """One prepared allele per ALT, in order; one by one, since sequences of many ALTs fill the memory.

        Raises:
            GenomeError: REF differs from the reference and the policy is `error`.
        """
        refused: PreparedAllele | None = None  # an ALT that is sequence, where nothing can be scored
        for alt in record.alts:
            status, reason = self._check_text(record, alt)
            if status is not Status.OK:
                yield PreparedAllele(alt=alt, status=status, reason=reason)
            elif refused is not None:
                yield dataclasses.replace(refused, alt=alt)
            else:
                allele = self._prepare(record, alt)
                refused = None if allele.status in (Status.OK, Status.NOT_APPLICABLE) else allele
                yield allele

    def may_score(self, record: Record, alt: str) -> bool:
        """Return whether an ALT can be scored, as far as the record and the annotation tell."""
        if self._check_text(record, alt)[0] is not Status.OK or self.reference.match(record.chrom) is None:
            return False
        return self.is_in_gene(record) or self._applies(self._site(self._allele(record, alt)))

    def is_in_gene(self, record: Record) -> bool:
        """Whether REF overlaps a gene, for a record on the reference."""
        chrom, pos0 = self.reference.match(record.chrom), record.pos1 - 1
        genes = (
            self.annotation.genes_overlapping(chrom, pos0, pos0 + len(record.ref)) if self.annotation else []
        )
        return bool(genes)

    def _prepare(self, record: Record, alt: str) -> PreparedAllele:
        status, reason = self._check_place(record)
        if status is not Status.OK:
            return PreparedAllele(alt=alt, status=status, reason=reason)
        allele = self._allele(record, alt)
        if not self.as_written:
            allele = normalize(allele, self.reference)
        site = self._site(allele)
        if not self._applies(site):
            reason = _why_not_applicable(site)
            return PreparedAllele(alt=alt, status=Status.NOT_APPLICABLE, reason=reason)
        reference_codes, alternate_codes = allele_sequences(self.reference, site.window, allele)
        if allele.ref == allele.alt:
            alternate_codes = reference_codes
        share = n_fraction(reference_codes)
        if share > MAX_N_FRACTION:
            reason = f"{share:.3f} of the window is N"
            return PreparedAllele(alt=alt, status=Status.N_WINDOW, reason=reason, n_fraction=share)
        right_codes = None
        if site.has_two_windows:
            right_codes = right_anchored_sequence(self.reference, site.window, allele)
        return PreparedAllele(
            alt=alt,
            status=Status.OK,
            n_fraction=share,
            site=site,
            reference_codes=reference_codes,
            alternate_codes=alternate_codes,
            right_codes=right_codes,
        )

    def _allele(self, record: Record, alt: str) -> Allele:
        """Return the allele as the record has it; its contig must be one of the reference."""
        chrom = self.reference.match(record.chrom)
        return Allele(chrom=chrom, pos0=record.pos1 - 1, ref=record.ref.upper(), alt=alt.upper())

    def _site(self, allele: Allele) -> Site:
        return Site(
            allele=allele,
            window=window_around(allele, self.window_bp, self.align_bp),
            annotation=self.annotation,
            polya=self.polya,
            indel_anchor=self.indel_anchor,
        )

    def _applies(self, site: Site) -> bool:
        """Return whether any scorer of the run reads something for the allele."""
        return self.scorers is None or any(scorer.footprint(site) is not None for scorer in self.scorers)

    def _check_text(self, record: Record, alt: str) -> tuple[Status, str]:
        """What REF and ALT say by themselves."""
        of_alt = classify_text(alt)
        status = more_severe(_classify_ref(record.ref), of_alt)
        longest_bp = max(len(record.ref), len(alt))
        if status is Status.SYMBOLIC:
            column, text = ("ALT", alt) if of_alt is status else ("REF", record.ref)
            return status, f"{column} {_shorten(text)} names no sequence"
        if status is Status.NON_ACGT:
            return status, f"{_shorten(record.ref)}>{_shorten(alt)} has letters other than A, C, G and T"
        if longest_bp > self.window_bp // _MAX_ALLELE_SHARE:
            limit_bp = self.window_bp // _MAX_ALLELE_SHARE
            return (
                Status.TOO_LONG,
                f"an allele of {longest_bp} bp; a window of {self.window_bp} bp takes {limit_bp}",
            )
        return Status.OK, ""

    def _check_place(self, record: Record) -> tuple[Status, str]:
        """What the reference genome has where the record lies."""
        chrom = self.reference.match(record.chrom)
        if chrom is None:
            return Status.OFF_REFERENCE, f"the reference has no contig {_shorten(record.chrom)}"
        pos0, end0 = record.pos1 - 1, record.pos1 - 1 + len(record.ref)
        length = self.reference.contigs[chrom]
        if pos0 < 0 or end0 > length:
            return Status.OFF_REFERENCE, f"{_shorten(record.chrom)} has the positions 1 to {length}"
        found = self.reference.fetch(chrom, pos0, end0)
        if self.on_mismatch is MismatchPolicy.SUBSTITUTE or reference_matches(found, record.ref):
            return Status.OK, ""
        if self.on_mismatch is MismatchPolicy.ERROR:
            raise self._mismatch(record, found.decode("ascii"))
        return (
            Status.REF_MISMATCH,
            f"REF is {_shorten(record.ref)} but the reference has {_shorten(found.decode('ascii'))} there",
        )

    def _mismatch(self, record: Record, found: str) -> GenomeError:
        place = (
            f"{_shorten(record.chrom)}:{record.pos1} {_shorten(record.ref)}>{_shorten(','.join(record.alts))}"
        )
        says = f"; the header says assembly={self.assembly}" if self.assembly else ""
        return GenomeError(
            f"{self.source} record {record.index}, {place}\n"
            f'REF is "{_shorten(record.ref)}" but the reference has "{_shorten(found)}" there{says}',
            hint="pass the matching --reference, or --on-ref-mismatch=skip to leave it unscored",
        )


def _why_not_applicable(site: Site) -> str:
    overlaps_none = site.annotation is not None and not site.overlapping_genes()
    return "no scorer of the run applies" + (": it overlaps no gene" if overlaps_none else "")


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_BASES else f"{text[:_SHOWN_BASES]}… ({len(text)})"
