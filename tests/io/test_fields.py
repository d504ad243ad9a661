"""Test how scores and details are written into INFO, and how they are removed from it."""

import math
import urllib.parse

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.io.samples import scored
from vepscore.genome.alleles import Status
from vepscore.io import fields
from vepscore.io import info as info_column
from vepscore.io.results import AlleleResult, Detail


def test_the_fields_are_those_that_the_documentation_names() -> None:
    assert ",".join(field.id for field in fields.FIELDS) == (
        "VS_STATUS,VS_SPLICE,VS_SPLICE_GENE,VS_SS,VS_SSU,VS_SJ,VS_RNA,VS_RNA_GENE,VS_ATAC,VS_DNASE,"
        "VS_CHIP_TF,VS_CHIP_HISTONE,VS_CAGE,VS_PROCAP,VS_CONTACT,VS_POLYA,VS"
    )
    assert [field.number for field in fields.FIELDS] == ["A"] * 16 + ["."]
    strings = [field.id for field in fields.FIELDS if field.type == "String"]
    assert strings == ["VS_STATUS", "VS_SPLICE_GENE", "VS_RNA_GENE", "VS"]
    assert fields.DETAIL.header_line.endswith(
        'Format: ALLELE|SCORER|GENE_ID|SYMBOL|SCORE|TRACK|BIOSAMPLE|Consequence">'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "."),
        (math.nan, "."),
        (np.float32("nan"), "."),
        (0.0, "0"),
        (-0.0, "0"),
        (np.float32(0.1), "0.1"),
        (-1.23456789, "-1.23457"),
        (1e-7, "1e-07"),
        (15210.052734, "15210.1"),
    ],
)
def test_floats_have_six_digits(value: float | np.float32 | None, text: str) -> None:
    assert fields.format_float(value) == text


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("plain-text_1:2", "plain-text_1:2"),
        ("50% a;b=c,d|e", "50%25%20a%3Bb%3Dc%2Cd%7Ce"),
        ("tab\tline\nend\r\x00\x7f", "tab%09line%0Aend%0D%00%7F"),
        ("a\u00a0b\u2028", "a%C2%A0b%E2%80%A8"),
        ("Zürich", "Zürich"),
    ],
)
def test_reserved_characters_are_percent_encoded(text: str, encoded: str) -> None:
    assert info_column.encode(text) == encoded


@given(st.text())
def test_encoding_can_be_undone_and_leaves_nothing_reserved(text: str) -> None:
    encoded = info_column.encode(text)
    assert not set(encoded) & set(";=,| \t\n\r\v\f")
    assert encoded.isprintable() or not text.isprintable()
    assert len(encoded.split()) <= 1
    assert urllib.parse.unquote(encoded, errors="surrogatepass") == text


def test_info_of_one_alt() -> None:
    info = info_column.format_info([scored("C", VS_SPLICE=1.5, VS_SPLICE_GENE="A;B")]).decode().split(";")
    assert info[:4] == ["VS_STATUS=OK", "VS_SPLICE=1.5", "VS_SPLICE_GENE=A%3BB", "VS_SS=."]
    assert [pair.partition("=")[0] for pair in info] == [field.id for field in fields.FIELDS]
    assert info[-1] == (
        "VS=C|RNA_SEQ|ENSG1.2|MYGENE|-0.5|a%20track|liver%3B%20left%7Cright|,C|ATAC|||0.25|t|K562|"
    )


def test_info_of_several_alts_keeps_their_order() -> None:
    alleles = [
        AlleleResult(alt="<DEL>", status=Status.SYMBOLIC),
        scored("G", VS_RNA=2.0),
        AlleleResult(alt="T", status=Status.FAILED, details=(Detail(scorer="ATAC", score=math.nan),)),
    ]
    info = dict(pair.split("=", 1) for pair in info_column.format_info(alleles).decode().split(";"))
    assert info["VS_STATUS"] == "SYMBOLIC,OK,FAILED"
    assert info["VS_RNA"] == ".,2,."
    assert info["VS_SPLICE_GENE"] == ".,.,."
    assert [entry[:2] for entry in info["VS"].split(",")] == ["G|", "G|", "T|"]
    assert info["VS"].endswith("T|ATAC||||||")


def test_without_details_the_field_is_left_out() -> None:
    assert info_column.format_info([AlleleResult(alt="*", status=Status.SYMBOLIC)]).endswith(b";VS_POLYA=.")


@pytest.mark.parametrize(
    ("info", "appended"), [(b".", b"X=1"), (b"", b"X=1"), (b"A", b"A;X=1"), (b"A=2;", b"A=2;X=1")]
)
def test_appending(info: bytes, appended: bytes) -> None:
    assert info_column.append_info(info, b"X=1") == appended


def test_stripping_takes_only_ours() -> None:
    info = b"VSX=1;VS_STATUS=OK;A=VS;VS=a|b;VS_SPLICE;B"
    assert info_column.find_existing(info) == ["VS_STATUS", "VS", "VS_SPLICE"]
    assert info_column.strip_info(info) == b"VSX=1;A=VS;B"
    assert info_column.strip_info(b"VS=.") == b"."
    assert info_column.find_existing(b"AC=1") == []


def test_an_unknown_value_field_is_refused() -> None:
    with pytest.raises(ValueError, match="VS_SPILCE"):
        AlleleResult(alt="C", status=Status.OK, fields={"VS_SPILCE": 1.0})
