"""Alternate alleles, and the reasons why one cannot be scored."""

import dataclasses
import enum
import re

_BASES = b"ACGTacgt"
_SYMBOLIC_MARK = re.compile(r"[<>\[\]*.]")


class Status(enum.StrEnum):
    """Whether an allele was scored, and if not, why: the values of VS_STATUS."""

    OK = "OK"
    REF_MISMATCH = "REF_MISMATCH"
    SYMBOLIC = "SYMBOLIC"
    NON_ACGT = "NON_ACGT"
    TOO_LONG = "TOO_LONG"
    OFF_REFERENCE = "OFF_REFERENCE"
    N_WINDOW = "N_WINDOW"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    FAILED = "FAILED"

    @property
    def meaning(self) -> str:
        """The status in words, for users."""
        return _MEANINGS[self]


_MEANINGS = {
    Status.OK: "scored",
    Status.REF_MISMATCH: "REF differs from the reference genome: most often the genome is another assembly",
    Status.SYMBOLIC: "the allele has no sequence: a symbolic allele such as <DEL>, *, or a breakend",
    Status.NON_ACGT: "REF or ALT has letters other than A, C, G and T",
    Status.TOO_LONG: "the allele is too long for the window",
    Status.OFF_REFERENCE: "the contig or the position is not in the reference genome",
    Status.N_WINDOW: "more than 90 % of the window is N",
    Status.NOT_APPLICABLE: "no scorer of the run applies here, such as splice scorers outside genes; not a failure",
    Status.FAILED: "the network returned numbers that are not finite",
}


class AlleleKind(enum.StrEnum):
    """Kinds of alleles that are ranked separately, because the sizes of their background scores differ."""

    SUBSTITUTION = "substitution"  # ALT is as long as REF: SNVs and MNVs
    INDEL = "indel"  # ALT is longer or shorter than REF


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Allele:
    """One alternate allele. Coordinates are 0-based and half-open."""

    chrom: str  # contig name of the reference genome
    pos0: int  # first base of REF
    ref: str  # A, C, G and T only, upper case, not empty
    alt: str  # likewise

    @property
    def end0(self) -> int:
        """Return the end of REF, exclusive."""
        return self.pos0 + len(self.ref)

    @property
    def inserted_bp(self) -> int:
        """Return how much longer ALT is than REF; negative for a deletion."""
        return len(self.alt) - len(self.ref)


def kind_of(ref: str, alt: str) -> AlleleKind:
    """Return the kind of an allele with a sequence. Normalizing the allele does not change its kind."""
    return AlleleKind.SUBSTITUTION if len(ref) == len(alt) else AlleleKind.INDEL


def common_prefix_bp(left: str, right: str) -> int:
    """Return how many first bases two alleles have in common."""
    pairs = enumerate(zip(left, right, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(left), len(right)))


def classify_text(text: str) -> Status:
    """Return OK, SYMBOLIC or NON_ACGT for REF or one ALT as written in the VCF, in upper or lower case.

    Every text that gives no plain sequence is symbolic: `<DEL>`, `*`, `.`, breakends such as `G]17:198982]`
    and single breakends such as `.A` or `A.`.
    """
    if text.isascii() and text and not text.encode().translate(None, _BASES):
        return Status.OK
    return Status.SYMBOLIC if not text or _SYMBOLIC_MARK.search(text) else Status.NON_ACGT


def more_severe(of_ref: Status, of_alt: Status) -> Status:
    """Return the status of an allele from those of its REF and its ALT."""
    return of_alt if of_ref is Status.OK or of_alt is Status.SYMBOLIC else of_ref
