"""Every ALT of a record gets its sequences, or a status with the reason."""

import dataclasses
import math
import re
from pathlib import Path

import numpy as np
import pytest

from tests.builders import (
    AMBIGUOUS,
    CONTIGS,
    GENES,
    ISLAND,
    WINDOW_BP,
    build_genome,
    make_records,
    sequences,
    vcf_row,
)
from vepscore.contract import PolyASite
from vepscore.engine.preparer import AllelePreparer, PreparedAllele
from vepscore.engine.scorer_plugins import load_scorers
from vepscore.errors import GenomeError
from vepscore.genome.alleles import Status
from vepscore.genome.fasta import Reference
from vepscore.model.allele_plan import ReadyAllele
from vepscore.options.option_types import MismatchPolicy

LIMIT_BP = WINDOW_BP // 4
CENTER = WINDOW_BP // 2 - 1  # the position of an SNV in its window


def prepare(preparer: AllelePreparer, *row: str) -> list[PreparedAllele]:
    (record,) = make_records(row)
    return list(preparer.prepare(record))


def prepare_one(preparer: AllelePreparer, *row: str) -> PreparedAllele:
    (prepared,) = prepare(preparer, *row)
    return prepared


def prepare_ready(preparer: AllelePreparer, *row: str) -> ReadyAllele:
    prepared = prepare_one(preparer, *row)
    assert isinstance(prepared, ReadyAllele)
    return prepared


def outcome(prepared: PreparedAllele) -> tuple[Status, str]:
    """Return status and reason."""
    if isinstance(prepared, ReadyAllele):
        return Status.OK, ""
    assert prepared.status is not Status.OK and prepared.reason
    return prepared.status, prepared.reason


def text(codes: np.ndarray) -> str:
    return "".join("ACGTN"[code] for code in codes)


def known(start0: int, end0: int) -> str:
    """Return the bases of chr1 in the interval, as the network sees them."""
    return sequences()["chr1"][max(start0, 0) : end0].replace("R", "N").replace("Y", "N")


def base(pos0: int) -> str:
    return sequences()["chr1"][pos0]


def other_than(pos0: int) -> str:
    return next(letter for letter in "ACGT" if letter != base(pos0))


def test_snv_is_the_last_base_of_the_first_half(preparer: AllelePreparer) -> None:
    prepared = prepare_one(preparer, *vcf_row("chr1", 15_000, 1, "~"))
    assert outcome(prepared) == (Status.OK, "")
    reference, alternate = text(prepared.reference_codes), text(prepared.alternates[0])
    start0 = 15_000 - CENTER
    assert reference == known(start0, start0 + WINDOW_BP)
    assert [i for i in range(WINDOW_BP) if reference[i] != alternate[i]] == [CENTER]
    assert (prepared.site.window.start0, prepared.site.window.width_bp) == (start0, WINDOW_BP)
    assert isinstance(prepared.site, PolyASite)
    assert prepared.site.annotation is preparer.annotation and prepared.site.polya is preparer.polya
    assert prepared.n_fraction == len(AMBIGUOUS) / WINDOW_BP


def test_window_start_is_rounded_where_asked_for(preparer: AllelePreparer) -> None:
    aligned = dataclasses.replace(preparer, align_bp=2048)
    prepared = prepare_one(aligned, *vcf_row("chr1", 15_000, 1, "~"))
    assert prepared.site.window.start0 == 6144
    assert text(prepared.reference_codes)[15_000 - 6144] == base(15_000)


def test_one_change_has_one_window_however_it_is_written(preparer: AllelePreparer) -> None:
    """A deletion in a homopolymer is written at its first base, at its last base, and with bases on either side."""
    run = re.search("(?:AAA+|CCC+|GGG+|TTT+)", sequences()["chr1"][15_000:])
    start0, end0 = 15_000 + run.start(), 15_000 + run.end()
    rows = [
        vcf_row("chr1", start0 - 1, 2, base(start0 - 1)),
        vcf_row("chr1", end0 - 2, 2, base(end0 - 1)),
        vcf_row("chr1", start0 - 3, end0 - start0 + 5, known(start0 - 3, end0 - 1) + known(end0, end0 + 2)),
    ]
    first, *others = [next(preparer.prepare(record)) for record in make_records(*rows)]
    for other in others:
        assert (other.site.allele, other.site.window) == (first.site.allele, first.site.window)
        assert np.array_equal(other.alternates[0], first.alternates[0])
    assert first.site.allele.pos0 == start0 - 1
    as_written = dataclasses.replace(preparer, as_written=True)
    written = [next(as_written.prepare(record)).site.allele for record in make_records(*rows)]
    assert [allele.pos0 for allele in written] == [start0 - 1, end0 - 2, start0 - 3]


def test_mismatch_is_left_unscored_by_default(preparer: AllelePreparer) -> None:
    wrong = other_than(15_000)
    prepared = prepare_one(preparer, "chr1", "15001", ".", wrong, base(15_000))
    reason = f"REF is {wrong} but the reference has {base(15_000)} there"
    assert outcome(prepared) == (Status.REF_MISMATCH, reason)


def test_mismatch_is_written_over_the_reference_on_request(preparer: AllelePreparer) -> None:
    substituting = dataclasses.replace(preparer, on_mismatch=MismatchPolicy.SUBSTITUTE)
    wrong = other_than(15_000)
    prepared = prepare_one(substituting, "chr1", "15001", ".", wrong, base(15_000))
    assert outcome(prepared) == (Status.OK, "")
    assert text(prepared.reference_codes)[CENTER] == wrong
    assert text(prepared.alternates[0])[CENTER] == base(15_000)


@pytest.mark.parametrize("as_written", [False, True])
@pytest.mark.parametrize("ref_bp", [1, 3])
def test_alt_equal_to_ref_changes_nothing(preparer: AllelePreparer, ref_bp: int, as_written: bool) -> None:
    preparer = dataclasses.replace(preparer, as_written=as_written)
    bases = sequences()["chr1"][16_000 : 16_000 + ref_bp]
    for alt in (bases, bases.lower()):
        prepared = prepare_one(preparer, *vcf_row("chr1", 16_000, ref_bp, alt))
        assert prepared.changes_nothing
    assert not prepare_one(preparer, *vcf_row("chr1", 16_000, ref_bp, "~")).changes_nothing


@pytest.mark.parametrize(
    ("row", "windows"),
    [
        (vcf_row("chr1", 15_000, 1, "~"), 1),
        (vcf_row("chr1", 15_000, 2, "~~"), 1),
        (vcf_row("chr1", 15_000, 1, "~C"), 2),
        (vcf_row("chr1", 15_000, 3, "~"), 2),
        (vcf_row("chr1", 15_000, 2, sequences()["chr1"][15_000:15_002]), 0),
    ],
)
def test_alternates_that_change_the_length_have_two_windows(
    preparer: AllelePreparer, both_preparer: AllelePreparer, row: tuple[str, ...], windows: int
) -> None:
    in_both, in_left = (next(each.prepare(make_records(row)[0])) for each in (both_preparer, preparer))
    assert (len(in_both.alternates), len(in_left.alternates)) == (windows, min(windows, 1))
    if windows == 2:
        left, right = in_both.alternates
        assert not np.array_equal(left, right)
        assert (left == in_left.alternates[0]).all()


def test_alt_equal_to_a_ref_that_is_substituted_changes_nothing(preparer: AllelePreparer) -> None:
    preparer = dataclasses.replace(preparer, on_mismatch=MismatchPolicy.SUBSTITUTE)
    other = other_than(16_000)
    prepared = prepare_one(preparer, "chr1", "16001", ".", other, other)
    assert prepared.changes_nothing
    assert text(prepared.reference_codes)[CENTER] == other
    assert not prepare_one(preparer, "chr1", "16001", ".", other, base(16_000)).changes_nothing


def test_mismatch_ends_the_run_on_request(preparer: AllelePreparer) -> None:
    strict = dataclasses.replace(
        preparer, on_mismatch=MismatchPolicy.ERROR, assembly="GRCh37", source="in.vcf.gz"
    )
    found = sequences()["chr1"][15_000:15_003]
    wrong = other_than(15_000) + found[1:]
    rows = [vcf_row("chr1", 14_000, 1, "~"), ("chr1", "15001", "rs1", wrong, "C,CA")]
    good, bad = make_records(*rows)
    assert outcome(next(strict.prepare(good))) == (Status.OK, "")
    with pytest.raises(GenomeError) as raised:
        next(strict.prepare(bad))
    assert str(raised.value).splitlines() == [
        f"in.vcf.gz record 1, chr1:15001 {wrong}>C,CA",
        f'  REF is "{wrong}" but the reference has "{found}" there; the header says assembly=GRCh37',
        "  hint: pass the matching --reference, or --on-ref-mismatch=skip to leave it unscored",
    ]


def test_mismatch_error_omits_an_assembly_that_the_header_does_not_state(
    preparer: AllelePreparer,
) -> None:
    strict = dataclasses.replace(preparer, on_mismatch=MismatchPolicy.ERROR)
    with pytest.raises(GenomeError) as raised:
        prepare(strict, "chr1", "15001", ".", other_than(15_000), base(15_000))
    assert str(raised.value).splitlines()[1].endswith("there")


def test_long_alleles_are_shortened_in_reasons(preparer: AllelePreparer) -> None:
    found = sequences()["chr1"][15_000:15_100]
    prepared = prepare_one(preparer, "chr1", "15001", ".", other_than(15_000) + found[1:], "A")
    assert prepared.reason == (
        f"REF is {other_than(15_000)}{found[1:20]}… (100) but the reference has {found[:20]}… (100) there"
    )


@pytest.mark.parametrize(
    "alt", ["<DEL>", "<*>", "*", "G]17:198982]", "]13:123456]T", "[chr1:1[A", "C<ctg1>", ".A", "A."]
)
def test_alt_without_sequence_is_symbolic(preparer: AllelePreparer, alt: str) -> None:
    row = ("chr1", "15001", ".", base(15_000), alt)
    assert outcome(prepare_one(preparer, *row)) == (Status.SYMBOLIC, f"ALT {alt} names no sequence")


def test_missing_alt_among_others_is_symbolic(preparer: AllelePreparer) -> None:
    chrom, pos1, name, ref, alt = vcf_row("chr1", 15_000, 1, "~")
    first, second = prepare(preparer, chrom, pos1, name, ref, f"{alt},.")
    assert outcome(first) == (Status.OK, "")
    assert outcome(second) == (Status.SYMBOLIC, "ALT . names no sequence")


def test_ref_without_sequence_is_symbolic(preparer: AllelePreparer) -> None:
    assert outcome(prepare_one(preparer, "chr1", "15001", ".", ".", "A")) == (
        Status.SYMBOLIC,
        "REF . names no sequence",
    )


def test_record_without_alt_has_nothing_to_prepare(preparer: AllelePreparer) -> None:
    assert prepare(preparer, "chr1", "15001", ".", "A", ".") == []


@pytest.mark.parametrize(("ref", "alt"), [("A", "N"), ("A", "R"), ("A", "ANA"), ("N", "A"), ("A", "a-")])
def test_letters_other_than_acgt_are_not_scored(preparer: AllelePreparer, ref: str, alt: str) -> None:
    prepared = prepare_one(preparer, "chr1", "15001", ".", ref, alt)
    assert outcome(prepared) == (Status.NON_ACGT, f"{ref}>{alt} has letters other than A, C, G and T")


@pytest.mark.parametrize(("ref_bp", "alt_bp"), [(LIMIT_BP, 1), (1, LIMIT_BP)])
def test_allele_of_a_quarter_window_is_the_longest(
    preparer: AllelePreparer, ref_bp: int, alt_bp: int
) -> None:
    assert outcome(prepare_one(preparer, *vcf_row("chr1", 13_000, ref_bp, "A" * alt_bp))) == (Status.OK, "")
    longer = [bp + 1 if bp > 1 else bp for bp in (ref_bp, alt_bp)]
    reason = f"the allele has {LIMIT_BP + 1} bp; a window of {WINDOW_BP} bp allows {LIMIT_BP}"
    row = vcf_row("chr1", 13_000, longer[0], "A" * longer[1])
    assert outcome(prepare_one(preparer, *row)) == (Status.TOO_LONG, reason)


def test_unknown_contig_is_off_the_reference(preparer: AllelePreparer) -> None:
    prepared = prepare_one(preparer, "chr9", "100", ".", "A", "C")
    assert outcome(prepared) == (Status.OFF_REFERENCE, "the reference has no contig chr9")


@pytest.mark.parametrize(("pos1", "ref"), [("0", "A"), ("30001", "A"), ("30000", "AC"), ("2147483647", "A")])
@pytest.mark.parametrize("policy", MismatchPolicy)
def test_place_past_either_end_is_off_the_reference(
    preparer: AllelePreparer, pos1: str, ref: str, policy: MismatchPolicy
) -> None:
    any_policy = dataclasses.replace(preparer, on_mismatch=policy)
    prepared = prepare_one(any_policy, "chr1", pos1, ".", ref, "G")
    assert outcome(prepared) == (Status.OFF_REFERENCE, "chr1 has the positions 1 to 30000")


@pytest.mark.parametrize("pos0", [0, CONTIGS["chr1"] - 1])
def test_first_and_last_base_of_a_contig_are_on_it(preparer: AllelePreparer, pos0: int) -> None:
    prepared = prepare_one(preparer, *vcf_row("chr1", pos0, 1, "~"))
    assert outcome(prepared) == (Status.OK, "")
    start0 = pos0 - CENTER
    expected = "N" * max(-start0, 0) + known(start0, start0 + WINDOW_BP)
    assert text(prepared.reference_codes) == expected + "N" * (WINDOW_BP - len(expected))


def test_deletion_of_the_last_bases_is_on_the_contig(preparer: AllelePreparer) -> None:
    prepared = prepare_one(preparer, *vcf_row("chr1", CONTIGS["chr1"] - 5, 5, "~"))
    assert outcome(prepared) == (Status.OK, "")


def test_window_that_is_nearly_all_n_is_refused_with_its_fraction(preparer: AllelePreparer) -> None:
    chrom, start0, end0 = ISLAND
    prepared = prepare_one(preparer, *vcf_row(chrom, start0 + 50, 1, "~"))
    share = 1 - (end0 - start0) / WINDOW_BP
    assert outcome(prepared) == (Status.N_WINDOW, f"{share:.3f} of the window is N")
    assert prepared.n_fraction == pytest.approx(share, rel=1e-9)


def test_fraction_of_n_counts_what_lies_past_the_ends(preparer: AllelePreparer) -> None:
    prepared = prepare_one(preparer, *vcf_row("chr3", 3_000, 1, "~"))
    assert outcome(prepared) == (Status.OK, "")
    assert prepared.n_fraction == pytest.approx(1 - CONTIGS["chr3"] / WINDOW_BP, rel=1e-9)


def test_unplaced_allele_has_no_fraction_of_n(preparer: AllelePreparer) -> None:
    assert math.isnan(prepare_one(preparer, "chr9", "100", ".", "A", "C").n_fraction)


def test_unknown_bases_of_the_reference_confirm_no_ref(preparer: AllelePreparer) -> None:
    prepared = prepare_one(preparer, "chr1", "24101", ".", "A", "C")
    assert outcome(prepared) == (Status.REF_MISMATCH, "REF is A but the reference has N there")


@pytest.mark.parametrize("pos0", [5_500, 15_000])
def test_case_is_ignored(preparer: AllelePreparer, pos0: int) -> None:
    """Test lower case in the genome at 5,500, and in the VCF at both positions."""
    chrom, pos1, name, ref, alt = vcf_row("chr1", pos0, 1, "~")
    upper = prepare_one(preparer, chrom, pos1, name, ref, alt)
    lower = prepare_one(preparer, chrom, pos1, name, ref.lower(), alt.lower())
    assert outcome(lower) == (Status.OK, "")
    assert lower.site.allele == upper.site.allele
    assert (lower.site.allele.ref, lower.site.allele.alt) == (ref, alt)
    assert np.array_equal(lower.alternates[0], upper.alternates[0])
    assert (upper.alt, lower.alt) == (alt, alt.lower())


@pytest.mark.parametrize(
    ("pos0", "ref", "status"),
    [
        (7_000, "A", Status.OK),
        (7_000, "G", Status.OK),
        (7_000, "C", Status.REF_MISMATCH),
        (7_000, "AC", Status.OK),
        (7_000, "AA", Status.REF_MISMATCH),
        (7_001, "t", Status.OK),
    ],
)
def test_ambiguity_code_of_the_genome_agrees_with_its_bases(
    preparer: AllelePreparer, pos0: int, ref: str, status: Status
) -> None:
    prepared = prepare_one(preparer, "chr1", str(pos0 + 1), ".", ref, "TT")
    assert outcome(prepared)[0] is status
    if status is Status.OK:
        start = pos0 - prepared.site.window.start0
        assert text(prepared.reference_codes)[start : start + len(ref)] == ref.upper()


def test_every_alt_has_its_own_status(preparer: AllelePreparer) -> None:
    chrom, pos1, name, ref, alt = vcf_row("chr1", 15_000, 1, "~")
    alts = [alt, "<DEL>", "N", "A" * (LIMIT_BP + 1), "*", f"{ref}GG"]
    prepared = prepare(preparer, chrom, pos1, name, ref, ",".join(alts))
    assert [allele.alt for allele in prepared] == alts
    assert [outcome(allele)[0] for allele in prepared] == [
        Status.OK,
        Status.SYMBOLIC,
        Status.NON_ACGT,
        Status.TOO_LONG,
        Status.SYMBOLIC,
        Status.OK,
    ]
    assert prepared[0].site.window == prepared[-1].site.window
    assert np.array_equal(prepared[0].reference_codes, prepared[-1].reference_codes)


@pytest.mark.parametrize(
    ("of_vcf", "of_fasta"), [("1", "chr1"), ("chr1", "1"), ("NC_000001.11", "chr1"), ("chr1", "NC_000001.11")]
)
def test_contig_is_found_under_its_other_names(
    preparer: AllelePreparer, tmp_path: Path, of_vcf: str, of_fasta: str
) -> None:
    genome = build_genome(tmp_path, contigs=(of_fasta, "other", "third"))
    renamed = dataclasses.replace(preparer, reference=Reference(genome.fasta, tmp_path / "cache"))
    _, *rest = vcf_row("chr1", 16_000, 1, "~")
    prepared = prepare_one(renamed, of_vcf, *rest)
    assert outcome(prepared) == (Status.OK, "")
    assert prepared.site.allele.chrom == prepared.site.window.chrom == of_fasta
    assert [gene.gene_id for gene in prepared.site.overlapping_genes()] == ["PLUS", "MINUS"]


def test_longer_alt_counts_for_the_genes_that_it_overlaps(preparer: AllelePreparer) -> None:
    """An insertion right before a gene overlaps it, as in the official code."""
    before = prepare_one(preparer, *vcf_row("chr1", 11_999, 1, "~"))
    reaching = prepare_one(preparer, *vcf_row("chr1", 11_999, 1, "~~~"))
    assert before.site.overlapping_genes() == []
    assert [gene.gene_id for gene in reaching.site.overlapping_genes()] == ["PLUS"]


def with_scorers(preparer: AllelePreparer, *names: str) -> AllelePreparer:
    return dataclasses.replace(preparer, scorers=tuple(load_scorers(names)))


def test_allele_that_no_scorer_applies_to_is_not_read_from_the_genome(
    preparer: AllelePreparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only REF is fetched, for the comparison."""
    fetched = []
    fetch = preparer.reference.fetch
    monkeypatch.setattr(preparer.reference, "fetch", lambda *place: fetched.append(place) or fetch(*place))
    of_genes = with_scorers(preparer, "SPLICE_SITES", "SPLICE_EVENTS")
    prepared = prepare_one(of_genes, *vcf_row("chr1", 9_000, 1, "~"))
    assert outcome(prepared) == (
        Status.NOT_APPLICABLE,
        "no scorer of the run applies: it overlaps no gene",
    )
    assert fetched == [("chr1", 9_000, 9_001)]


def test_allele_that_one_scorer_applies_to_is_prepared(preparer: AllelePreparer) -> None:
    row = vcf_row("chr1", 9_000, 1, "~")
    assert prepare_one(with_scorers(preparer, "SPLICE_SITES", "ATAC"), *row).status is Status.OK
    assert (
        prepare_one(with_scorers(preparer, "SPLICE_SITES"), *vcf_row("chr1", 2_000, 1, "~")).status
        is Status.OK
    )


def test_scorer_without_enough_sites_does_not_apply_in_a_gene(preparer: AllelePreparer) -> None:
    prepared = prepare_one(with_scorers(preparer, "POLYADENYLATION"), *vcf_row("chr1", 2_000, 1, "~"))
    assert outcome(prepared) == (Status.NOT_APPLICABLE, "no scorer of the run applies")


def test_each_alt_is_judged_by_itself(preparer: AllelePreparer) -> None:
    """A long ALT overlaps the gene, because the longer of REF and ALT counts."""
    before = GENES["PLUS"][3][0][0][0] - 5
    alleles = prepare(with_scorers(preparer, "SPLICE_SITES"), *vcf_row("chr1", before, 1, "~", "~GTTGCAA"))
    assert [allele.status for allele in alleles] == [Status.NOT_APPLICABLE, Status.OK]


@pytest.mark.parametrize(
    ("row", "status"),
    [
        (("chr1", "9001", ".", other_than(9_000), base(9_000)), Status.REF_MISMATCH),
        (("chr9", "9001", ".", "A", "C"), Status.OFF_REFERENCE),
        (("chr1", "9001", ".", "A", "<DEL>"), Status.SYMBOLIC),
    ],
)
def test_what_is_wrong_with_an_allele_comes_before_what_applies(
    preparer: AllelePreparer, row: tuple[str, ...], status: Status
) -> None:
    assert prepare_one(with_scorers(preparer, "SPLICE_SITES"), *row).status is status
