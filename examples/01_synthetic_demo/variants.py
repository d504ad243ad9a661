"""The demo's variants: they break a splice site, create one, have no effect, or cannot be scored.

Coordinates are 0-based and half-open, along the gene's own strand ("sense") until `edit` converts them to VCF.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from genome import GAP_BP, MADE_DONOR, Gene, decode, encode, reverse_complement


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """One line of the VCF."""

    id: str
    pos1: int
    ref: str
    alt: str
    expect: str  # the effect, `no_effect`, or `status_` and the VS_STATUS
    exon: tuple[int, int] | None = None  # on the contig: the exon that is created or lost


@dataclasses.dataclass(frozen=True, kw_only=True)
class Editor:
    """Make variants of one gene from coordinates along its strand."""

    contig: np.ndarray  # codes of the whole contig, plus strand
    gene: Gene

    def sense(self, start: int, end: int) -> str:
        """Return the gene's sequence in a sense interval."""
        start0, end0 = self.gene.span_on_contig(start, end)
        codes = self.contig[start0:end0]
        return decode(codes if self.gene.plan.strand == "+" else reverse_complement(codes))

    def edit(
        self,
        name: str,
        expect: str,
        start: int,
        end: int,
        replacement: str,
        exon: tuple[int, int] | None = None,
    ) -> Variant:
        """Replace a sense interval; an insertion or a deletion is anchored on the base before it.

        `exon` is the sense interval of the exon that is created or lost.
        """
        start0, end0 = self.gene.span_on_contig(start, end)
        codes = encode(replacement)
        alt = decode(codes if self.gene.plan.strand == "+" else reverse_complement(codes))
        if len(alt) != end0 - start0:
            start0 -= 1
            alt = decode(self.contig[start0 : start0 + 1]) + alt
        ref = decode(self.contig[start0:end0])
        made = exon and self.gene.span_on_contig(*exon)
        return Variant(id=name, pos1=start0 + 1, ref=ref, alt=alt, expect=expect, exon=made)


def make_variants(contig: np.ndarray, genes: list[Gene]) -> list[Variant]:
    """Return all variants, by position."""
    editors = [Editor(contig=contig, gene=gene) for gene in genes]
    makers = (break_sites, make_sites, change_nothing, fail_to_score)
    variants = [variant for make in makers for variant in make(editors)]
    return sorted(variants, key=lambda variant: variant.pos1)


def break_sites(editors: list[Editor]) -> Iterator[Variant]:
    """Yield donors without G at +1 or deleted, acceptors without A at -2 or G at -1, and a donor weakened at +5."""
    for name, editor, index in (("donor_plus1", editors[0], 2), ("donor_plus1_minus_strand", editors[1], 3)):
        exon = editor.gene.exons[index]
        yield editor.edit(name, "breaks_donor", exon[1], exon[1] + 1, "A", exon)
    exon = editors[6].gene.exons[3]
    yield editors[6].edit("acceptor_minus2", "breaks_acceptor", exon[0] - 2, exon[0] - 1, "G", exon)
    exon = editors[5].gene.exons[4]
    yield editors[5].edit("acceptor_minus1", "breaks_acceptor", exon[0] - 1, exon[0], "A", exon)
    exon = editors[7].gene.exons[2]
    yield editors[7].edit("donor_deletion", "deletes_donor", exon[1] - 2, exon[1] + 4, "", exon)
    weak = editors[4]
    exon = weak.gene.exons[weak.gene.plan.weak_donor_exon]
    yield weak.edit("donor_plus5", "weakens_donor", exon[1] + 4, exon[1] + 5, "C", exon)


def make_sites(editors: list[Editor]) -> Iterator[Variant]:
    """Yield near-exons deep in introns that get their missing base, and a second donor in an exon."""
    exon = editors[2].gene.near_exon
    yield editors[2].edit("new_donor", "creates_donor", exon[1] + 1, exon[1] + 2, "T", exon)
    exon = editors[3].gene.near_exon
    yield editors[3].edit("new_acceptor", "creates_acceptor", exon[0] - 1, exon[0], "G", exon)
    end = editors[6].gene.exons[5][1]
    yield editors[6].edit("donor_copy", "duplicates_donor", end - 30, end - 30, MADE_DONOR)


def change_nothing(editors: list[Editor]) -> Iterator[Variant]:
    """Yield controls: deep in an intron, at the third base of a codon, between genes."""
    for name, editor, intron in (("deep_intron", editors[0], 4), ("deep_intron_minus_strand", editors[1], 5)):
        base = find_in_intron(editor, intron, "ACA")
        yield editor.edit(name, "no_effect", base, base + 1, "T")
    base = find_in_intron(editors[4], 1, "AAA")
    yield editors[4].edit("deep_intron_deletion", "no_effect", base, base + 1, "")
    base = find_in_intron(editors[5], 2, "AAA")
    yield editors[5].edit("deep_intron_insertion", "no_effect", base, base, "T")
    start, end = editors[4].gene.exons[6]
    codon = start + (end - start) // 9 * 3
    yield change_codon(editors[4], "third_codon_base", codon)
    base = find_middle(editors[4], len(editors[4].gene.codes) + GAP_BP // 2, "ACA")
    yield editors[4].edit("between_genes", "no_effect", base, base + 1, "T")


def find_in_intron(editor: Editor, intron: int, motif: str) -> int:
    """Return the middle of the first `motif` from the middle of an intron on; introns are counted from 0."""
    return find_middle(editor, (editor.gene.exons[intron][1] + editor.gene.exons[intron + 1][0]) // 2, motif)


def find_middle(editor: Editor, start: int, motif: str) -> int:
    """Return the middle of the first `motif` from `start` on."""
    return start + editor.sense(start, start + 500).index(motif) + len(motif) // 2


def change_codon(editor: Editor, name: str, start: int) -> Variant:
    """Change the third base of the first codon from `start` with a C in its middle, which is synonymous."""
    while True:
        codon = editor.sense(start, start + 4)  # with the base after it
        for base in "ACGT":
            if codon[1] == "C" and base != codon[2] and makes_no_site(codon, codon[:2] + base + codon[3]):
                return editor.edit(name, "no_effect", start + 2, start + 3, base)
        start += 3


def makes_no_site(before: str, after: str) -> bool:
    """Return whether no GT or AG appears, on this strand or (as AC and CT) on the other."""
    return all(after.count(pair) <= before.count(pair) for pair in ("GT", "AG", "AC", "CT"))


def fail_to_score(editors: list[Editor]) -> Iterator[Variant]:
    """Yield a symbolic allele, and a REF that differs from the genome."""
    pos0, _ = editors[0].gene.span_on_contig(*editors[0].gene.exons[1])
    base = decode(editors[0].contig[pos0 : pos0 + 1])
    yield Variant(id="symbolic_deletion", pos1=pos0 + 1, ref=base, alt="<DEL>", expect="status_SYMBOLIC")
    base = decode(editors[0].contig[pos0 + 9 : pos0 + 10])
    wrong, alt = [other for other in "ACGT" if other != base][:2]
    yield Variant(id="wrong_ref", pos1=pos0 + 10, ref=wrong, alt=alt, expect="status_REF_MISMATCH")
