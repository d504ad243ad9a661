"""Test that a VCF header keeps its lines and declares what is added, once."""

import pytest

from tests.io.samples import COLUMNS, CONTIGS, META, PROVENANCE
from vepscore.errors import InputError
from vepscore.io.fields import FIELDS
from vepscore.io.header import VcfHeader

HEADER = VcfHeader(meta=META, columns=COLUMNS)


def annotated(header: VcfHeader = HEADER, **arguments: object) -> VcfHeader:
    return header.with_annotation(**{"provenance": PROVENANCE, "contigs": CONTIGS} | arguments)


def test_existing_lines_are_kept_and_ours_come_last() -> None:
    header = annotated()
    assert header.meta[: len(META)] == META
    assert header.columns == COLUMNS
    assert header.meta[len(META) :] == (
        "##contig=<ID=chr1,length=248956422>",
        "##contig=<ID=chr2,length=242193529>",
        *(field.header_line for field in FIELDS),
        "##vepscoreVersion=0.1.0",
        "##vepscoreCommand=vepscore score in.vcf -r ref.fa",
    )


def test_declared_contigs_are_unchanged() -> None:
    mine = "##contig=<ID=chr2,assembly=GRCh38>"
    header = annotated(VcfHeader(meta=(*META, mine), columns=COLUMNS))
    assert list(header.declared("contig").items()) == [
        ("chr2", mine),
        ("chr1", "##contig=<ID=chr1,length=248956422>"),
    ]


def test_unknown_contigs_of_the_body_are_declared_without_length() -> None:
    header = annotated(body_contigs=["chrUn_1", "chr1"])
    assert list(header.declared("contig")) == ["chr1", "chr2", "chrUn_1"]
    assert header.declared("contig")["chrUn_1"] == "##contig=<ID=chrUn_1>"


def test_no_contig_is_declared_twice() -> None:
    mine = VcfHeader(meta=(*META, "##contig=<ID=chr7>"), columns=COLUMNS)
    header = annotated(mine, body_contigs=["chr1", "chr7", "chrUn_1", "chrUn_1"])
    assert [line for line in header.meta if line.startswith("##contig=")] == [
        "##contig=<ID=chr7>",
        "##contig=<ID=chr1,length=248956422>",
        "##contig=<ID=chr2,length=242193529>",
        "##contig=<ID=chrUn_1>",
    ]


def test_no_contig_is_added_if_the_body_needs_none() -> None:
    mine = VcfHeader(meta=(*META, "##contig=<ID=chr7>"), columns=COLUMNS)
    assert list(annotated(mine, body_contigs=["chr7"]).declared("contig")) == ["chr7"]


def test_an_annotated_header_is_refused() -> None:
    with pytest.raises(InputError, match="VS_STATUS, VS_SPLICE") as caught:
        annotated(annotated())
    assert "--overwrite-existing" in str(caught.value)


def test_overwriting_replaces_the_annotation() -> None:
    again = annotated(annotated(), overwrite=True, provenance={"vepscoreVersion": "0.2.0"})
    assert again.meta.count("##vepscoreVersion=0.2.0") == 1
    assert [line for line in again.meta if line.startswith("##vepscore")] == ["##vepscoreVersion=0.2.0"]
    assert sum(line.startswith("##INFO=<ID=VS") for line in again.meta) == len(FIELDS)


def test_a_foreign_field_with_a_similar_name_is_not_ours() -> None:
    foreign = '##INFO=<ID=VS_OTHER,Number=1,Type=Float,Description="x">'
    header = annotated(VcfHeader(meta=(*META, foreign), columns=COLUMNS), overwrite=True)
    assert foreign in header.meta


def test_provenance_never_breaks_its_line() -> None:
    header = annotated(provenance={"vepscoreTerms": "first\nsecond"})
    assert header.meta[-1] == "##vepscoreTerms=first second"


def test_declarations_are_found_at_any_position_of_the_id() -> None:
    line = '##INFO=<Number=1,ID=X,Type=String,Description="a">'
    header = VcfHeader(meta=(*META, line), columns=COLUMNS)
    assert list(header.declared("INFO")) == ["AC", "DB", "X"]
    assert list(header.declared("FILTER")) == ["q10"]
    assert list(header.declared("FORMAT")) == ["GT"]


def test_spaces_and_order_of_keys_do_not_matter() -> None:
    lines = (
        '##INFO=<ID=AF, Number=A, Type=Float, Description="x">',
        '##INFO=<Number=R, ID=AD, Type=Integer, Description="a, ID=Z">',
        "##contig=<length=242193529, ID=chr2>",
    )
    header = VcfHeader(meta=("##fileformat=VCFv4.2", *lines), columns=COLUMNS)
    assert {name: fields["Number"] for name, fields in header.definitions("INFO").items()} == {
        "AF": "A",
        "AD": "R",
    }
    contigs = annotated(header).declared("contig")
    assert contigs == {"chr2": lines[2], "chr1": "##contig=<ID=chr1,length=248956422>"}


def test_first_of_two_declarations_counts() -> None:
    lines = [f'##INFO=<ID=AF,Number={number},Type=Float,Description="x">' for number in "A1"]
    header = VcfHeader(meta=(*META, *lines), columns=COLUMNS)
    assert header.declared("INFO")["AF"] == lines[0]
    assert header.definitions("INFO")["AF"]["Number"] == "A"


def test_overwriting_removes_all_our_lines() -> None:
    ours = annotated().declared("INFO")["VS_RNA"]
    header = annotated(
        VcfHeader(meta=(*META, ours, ours.replace(",", ", ")), columns=COLUMNS), overwrite=True
    )
    assert list(header.meta).count(ours) == 1
    assert ours.replace(",", ", ") not in header.meta


def test_samples_are_the_columns_after_format() -> None:
    assert HEADER.samples == ()
    assert VcfHeader(meta=META, columns=f"{COLUMNS}\tFORMAT\tkid\tmum").samples == ("kid", "mum")
