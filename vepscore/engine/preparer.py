"""Prepare the alleles of a record for scoring: each becomes ready, with its sequences, or refused, with a reason."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vepscore.contract import GeneSite, PolyASite, Scorer, Site, WindowScorer
from vepscore.errors import GenomeError, UsageError
from vepscore.genome.alleles import Allele, Status, classify_text, more_severe
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference, reference_matches
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.genome.normalization import normalize
from vepscore.genome.polya import PolyASites
from vepscore.genome.regions import Region, VariantText
from vepscore.genome.windows import (
    Window,
    allele_sequences,
    n_fraction,
    right_anchored_sequence,
    window_around,
)
from vepscore.io.records import Record, variant_record
from vepscore.model.allele_plan import ReadyAllele
from vepscore.options.option_types import MismatchPolicy
from vepscore.outputs import Output

MAX_N_FRACTION = 0.9
_MIN_WINDOW_TO_ALLELE = 4  # a window must be at least this many times as wide as an allele
_SHOWN_BASES = 20
_classify_ref = functools.lru_cache(maxsize=1)(classify_text)  # cached for a record with many ALTs


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RefusedAllele:
    """One ALT of a record that cannot be scored."""

    alt: str  # as the VCF has it
    status: Status  # never OK
    reason: str  # for the user
    n_fraction: float = math.nan  # fraction of the reference window that is N; NaN if there is no window


PreparedAllele = ReadyAllele | RefusedAllele


@dataclasses.dataclass(frozen=True, kw_only=True)
class AllelePreparer:
    """Prepares the alleles of records for one run."""

    reference: Reference
    window_bp: int  # that the network reads
    margin_bp: int = 0  # of them at each end, in which it predicts nothing
    resolutions: Mapping[Output, int] = dataclasses.field(default_factory=dict)  # bp, of what it predicts
    align_bp: int = 1  # window starts are multiples of it; 1 to center each window on its variant
    annotation: Annotation | None = None
    polya: PolyASites | None = None  # used with an annotation only
    on_mismatch: MismatchPolicy = MismatchPolicy.SKIP
    as_written: bool = False  # use alleles as the record has them, without normalizing them
    scorers: tuple[Scorer, ...] | None = None  # refuse alleles that none of them can score; None: refuse none
    indel_anchor: IndelAnchor = IndelAnchor.LEFT
    assembly: str = ""  # that the VCF header states, for messages
    source: str = ""  # name of the VCF, for messages

    def prepare(self, record: Record) -> Iterator[PreparedAllele]:
        """Yield one prepared allele per ALT, in order; one by one, because sequences of many ALTs fill the memory.

        Raises:
            GenomeError: REF differs from the reference and the policy is `error`.
        """
        refused: RefusedAllele | None = None  # an ALT that is sequence, where nothing can be scored
        for alt in record.alts:
            status, reason = self._check_text(record, alt)
            if status is not Status.OK:
                yield RefusedAllele(alt=alt, status=status, reason=reason)
            elif refused is not None:
                yield dataclasses.replace(refused, alt=alt)
            else:
                allele = self._prepare(record, alt)
                if isinstance(allele, RefusedAllele) and allele.status is not Status.NOT_APPLICABLE:
                    refused = allele
                yield allele

    def prepare_variant(self, variant: VariantText) -> PreparedAllele:
        """Prepare a single variant as a record of a VCF would be prepared.

        Raises:
            GenomeError: REF differs from the reference and the policy is `error`.
        """
        (allele,) = self.prepare(variant_record(variant))
        return allele

    def prepare_region(self, region: Region) -> ReadyAllele:
        """Prepare a region without a variant, in the middle of its window.

        Raises:
            UsageError: the region does not fit into a window.
        """
        if region.width_bp > self.predicted_bp:
            raise UsageError(
                f"region {region}\nis {region.width_bp} bp wide; {self.predicted_bp} bp of a window are predicted",
                hint="choose a larger --window (1Mb at most), or predict it in parts",
            )
        bases = self.reference.fetch(region.chrom, region.start0, region.end0).decode("ascii")
        site = self.site(Allele(chrom=region.chrom, pos0=region.start0, ref=bases, alt=bases))
        check_within(region, site.window, hint="use --align 1, or a narrower region")
        codes, _ = allele_sequences(self.reference, self._input(site), site.allele)
        return ReadyAllele(
            alt=bases, n_fraction=n_fraction(codes), site=site, reference_codes=codes, alternates=()
        )

    def site(self, allele: Allele) -> Site:
        """Return the allele in its window; a `GeneSite` or `PolyASite` if the run has what they hold."""
        fields: dict[str, Any] = {
            "allele": allele,
            "window": window_around(allele, self.predicted_bp, self.align_bp),
            "indel_anchor": self.indel_anchor,
            "contig_bp": self.reference.contigs.get(allele.chrom),
            "resolutions": self.resolutions,
        }
        if self.annotation is None:
            return Site(**fields)
        if self.polya is None:
            return GeneSite(**fields, annotation=self.annotation)
        return PolyASite(**fields, annotation=self.annotation, polya=self.polya)

    @property
    def predicted_bp(self) -> int:
        """Width of the part of a window in which the network predicts."""
        return self.window_bp - 2 * self.margin_bp

    def may_score(self, record: Record, alt: str) -> bool:
        """Return whether an ALT can be scored, judging by the record and the annotation alone."""
        if self._check_text(record, alt)[0] is not Status.OK or self.reference.match(record.chrom) is None:
            return False
        return self.is_in_gene(record) or self._applies(self.site(self._allele(record, alt)))

    def is_in_gene(self, record: Record) -> bool:
        """Return whether REF overlaps a gene; False for a record that is not on the reference."""
        chrom, pos0 = self.reference.match(record.chrom), record.pos1 - 1
        if self.annotation is None or chrom is None:
            return False
        return bool(self.annotation.genes_overlapping(chrom, pos0, pos0 + len(record.ref)))

    def _prepare(self, record: Record, alt: str) -> PreparedAllele:
        status, reason = self._check_place(record)
        if status is not Status.OK:
            return RefusedAllele(alt=alt, status=status, reason=reason)
        allele = self._allele(record, alt)
        if not self.as_written:
            allele = normalize(allele, self.reference)
        site = self.site(allele)
        if not self._applies(site):
            return RefusedAllele(alt=alt, status=Status.NOT_APPLICABLE, reason=self._why_not_applicable(site))
        reference_codes, alternate_codes = allele_sequences(self.reference, self._input(site), allele)
        fraction = n_fraction(reference_codes)
        if fraction > MAX_N_FRACTION:
            reason = f"{fraction:.3f} of the window is N"
            return RefusedAllele(alt=alt, status=Status.N_WINDOW, reason=reason, n_fraction=fraction)
        alternates = [] if allele.ref == allele.alt else [alternate_codes]
        if site.has_two_windows:
            alternates.append(right_anchored_sequence(self.reference, self._input(site), allele))
        return ReadyAllele(
            alt=alt,
            n_fraction=fraction,
            site=site,
            reference_codes=reference_codes,
            alternates=tuple(alternates),
        )

    def _input(self, site: Site) -> Window:
        """Return the window that the network reads."""
        predicted = site.window
        return dataclasses.replace(
            predicted, start0=predicted.start0 - self.margin_bp, end0=predicted.end0 + self.margin_bp
        )

    def _allele(self, record: Record, alt: str) -> Allele:
        """Return the allele as the record has it; the record must be on the reference."""
        chrom = self.reference.match(record.chrom)
        assert chrom is not None
        return Allele(chrom=chrom, pos0=record.pos1 - 1, ref=record.ref.upper(), alt=alt.upper())

    def _applies(self, site: Site) -> bool:
        """Return whether any scorer of the run reads something for the allele."""
        return self.scorers is None or any(scorer.footprint(site) is not None for scorer in self.scorers)

    def _why_not_applicable(self, site: Site) -> str:
        reasons = list(explain_refusals(self.scorers or (), site))
        if not reasons and isinstance(site, GeneSite) and not site.overlapping_genes():
            reasons = ["it overlaps no gene"]
        return ": ".join(["no scorer of the run applies", *filter(None, ["; ".join(reasons)])])

    def _check_text(self, record: Record, alt: str) -> tuple[Status, str]:
        """Check REF and ALT by themselves."""
        alt_status = classify_text(alt)
        status = more_severe(_classify_ref(record.ref), alt_status)
        longest_bp = max(len(record.ref), len(alt))
        limit_bp = self.predicted_bp // _MIN_WINDOW_TO_ALLELE
        if status is Status.SYMBOLIC:
            column, text = ("ALT", alt) if alt_status is status else ("REF", record.ref)
            return status, f"{column} {_shorten(text)} names no sequence"
        if status is Status.NON_ACGT:
            return status, f"{_shorten(record.ref)}>{_shorten(alt)} has letters other than A, C, G and T"
        if longest_bp > limit_bp:
            reason = f"the allele has {longest_bp} bp; a window of {self.window_bp} bp allows {limit_bp}"
            return Status.TOO_LONG, reason
        return Status.OK, ""

    def _check_place(self, record: Record) -> tuple[Status, str]:
        """Check the record's position and REF against the reference genome."""
        chrom = self.reference.match(record.chrom)
        if chrom is None:
            return Status.OFF_REFERENCE, f"the reference has no contig {_shorten(record.chrom)}"
        pos0, end0 = record.pos1 - 1, record.pos1 - 1 + len(record.ref)
        length = self.reference.contigs[chrom]
        if pos0 < 0 or end0 > length:
            return Status.OFF_REFERENCE, f"{_shorten(record.chrom)} has the positions 1 to {length}"
        bases = self.reference.fetch(chrom, pos0, end0)
        if self.on_mismatch is MismatchPolicy.SUBSTITUTE or reference_matches(bases, record.ref):
            return Status.OK, ""
        found = _shorten(bases.decode("ascii"))
        if self.on_mismatch is MismatchPolicy.ERROR:
            raise self._mismatch(record, found)
        return Status.REF_MISMATCH, f"REF is {_shorten(record.ref)} but the reference has {found} there"

    def _mismatch(self, record: Record, found: str) -> GenomeError:
        place = (
            f"{_shorten(record.chrom)}:{record.pos1} {_shorten(record.ref)}>{_shorten(','.join(record.alts))}"
        )
        stated = f"; the header says assembly={self.assembly}" if self.assembly else ""
        return GenomeError(
            f"{self.source} record {record.index}, {place}\n"
            f'REF is "{_shorten(record.ref)}" but the reference has "{found}" there{stated}',
            hint="pass the matching --reference, or --on-ref-mismatch=skip to leave it unscored",
        )


def explain_refusals(scorers: Sequence[Scorer], site: Site) -> Iterator[str]:
    """Yield why scorers of published programs give an allele no scores."""
    for scorer in scorers:
        if isinstance(scorer, WindowScorer) and isinstance(site, GeneSite):
            reason = scorer.refusal(site)
            if reason:
                yield reason


def check_within(region: Region, window: Window, *, hint: str) -> None:
    """Check that a window covers a region.

    Raises:
        UsageError: it does not.
    """
    if not region.is_within(window):
        raise UsageError(
            f"region {region}\nis not within the window, {window_text(window)} ({window.width_bp} bp)",
            hint=hint,
        )


def window_text(window: Window) -> str:
    """Return the window as `chrom:start-end`, 1-based and inclusive; it may reach past the contig's ends."""
    return f"{window.chrom}:{window.start0 + 1}-{window.end0}"


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN_BASES else f"{text[:_SHOWN_BASES]}… ({len(text)})"
