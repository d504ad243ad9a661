"""How labels and effects are read from INFO, per ALT or per record."""

import math

import pytest

from tests.builders import make_records
from vepscore.errors import InputError, UsageError
from vepscore.evaluate.truth import NEGATIVE, POSITIVE, Effects, Excluded, Labels
from vepscore.io.header import parse_header
from vepscore.io.info_values import InfoValues

CLINVAR = ("CLNSIG", "Pathogenic,Likely_pathogenic", "Benign,Likely benign,2")


def read_values(number: str, info: str, alts: str = "C,G", kind: str = "texts") -> list[str] | list[float]:
    """What INFO says of field F for each ALT, where the header declares it with `number`; None: not at all."""
    declared = [f'##INFO=<ID=F,Number={number},Type=String,Description="F">'] if number else []
    header = parse_header(
        ["##fileformat=VCFv4.2", *declared, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"], "some.vcf"
    )
    (record,) = make_records(("chr1", "100", ".", "A", alts))
    object.__setattr__(record, "line", record.line.removesuffix(b".") + info.encode())
    values = InfoValues(header)
    return getattr(values, kind)(record, values.read(record), "F")


class TestLabels:
    @pytest.mark.parametrize(
        ("text", "label"),
        [
            ("Pathogenic", POSITIVE),
            ("PATHOGENIC", POSITIVE),
            ("pathogenic/Likely_pathogenic", POSITIVE),
            ("Pathogenic|not_provided", POSITIVE),
            ("Pathogenic,_other", POSITIVE),
            ("likely_benign", NEGATIVE),
            ("Likely benign", NEGATIVE),
            ("Benign&Likely_benign", NEGATIVE),
            ("2", NEGATIVE),
            ("2|2", NEGATIVE),
        ],
    )
    def test_class(self, text: str, label: float) -> None:
        assert Labels.parse(*CLINVAR).judge(text) == label

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (".", "no CLNSIG"),
            ("not_provided|other", "CLNSIG has only values that are ignored"),
            ("Benign|Pathogenic", "CLNSIG is of both classes"),
            ("Uncertain_significance", "CLNSIG is of another class"),
            ("Likely_benign|Uncertain_significance", "CLNSIG is of another class"),
            ("25", "CLNSIG is of another class"),
            ("Likely_pathogenic_low_penetrance", "CLNSIG is of another class"),
        ],
    )
    def test_no_class(self, text: str, reason: str) -> None:
        with pytest.raises(Excluded) as excluded:
            Labels.parse(*CLINVAR).judge(text)
        assert str(excluded.value) == reason

    def test_a_class_may_have_a_value_that_is_ignored_elsewhere(self) -> None:
        labels = Labels.parse("F", "splice", "other")
        assert labels.judge("other") == NEGATIVE

    @pytest.mark.parametrize(("positive", "negative"), [("", "b"), ("a", " ,"), ("a,b", "B,c")])
    def test_classes_that_make_no_sense(self, positive: str, negative: str) -> None:
        with pytest.raises(UsageError):
            Labels.parse("F", positive, negative)


class TestEffects:
    @pytest.mark.parametrize(("text", "effect"), [("-1.5", -1.5), ("0", 0.0), ("1e-3", 0.001)])
    def test_number(self, text: str, effect: float) -> None:
        assert Effects(field="DPSI").judge(text) == effect

    @pytest.mark.parametrize("text", [".", "nan", "inf"])
    def test_missing(self, text: str) -> None:
        with pytest.raises(Excluded, match="no DPSI"):
            Effects(field="DPSI").judge(text)


class TestInfoValues:
    @pytest.mark.parametrize(
        ("number", "info", "texts"),
        [
            ("A", "F=x,y", ["x", "y"]),
            ("A", "G=1;F=x,.;H", ["x", "."]),
            ("R", "F=r,x,y", ["x", "y"]),
            ("1", "F=x", ["x", "x"]),
            (".", "F=x,y", ["x", "y"]),
            (".", "F=x,y,z", ["x,y,z", "x,y,z"]),
            ("1", "F=x;F=y", ["x", "x"]),
            ("A", "F=.", [".", "."]),
            ("A", "G=x", [".", "."]),
            ("R", ".", [".", "."]),
            ("0", "F", [".", "."]),
        ],
    )
    def test_texts(self, number: str, info: str, texts: list[str]) -> None:
        assert read_values(number, info) == texts

    def test_terms_of_one_alt_stay_together(self) -> None:
        assert read_values(".", "F=Pathogenic,_low_penetrance", alts="C") == ["Pathogenic,_low_penetrance"]

    @pytest.mark.parametrize(("number", "info"), [("A", "F=x"), ("A", "F=x,y,z"), ("R", "F=x,y")])
    def test_wrong_count_is_an_error_that_names_the_record(self, number: str, info: str) -> None:
        with pytest.raises(InputError) as error:
            read_values(number, info)
        assert "some.vcf record 0, chr1:100 A>C,G" in str(error.value)
        assert f"(Number={number} in the header)" in str(error.value)

    def test_numbers(self) -> None:
        first, second = read_values("A", "F=-0.5,.", kind="numbers")
        assert first == -0.5 and math.isnan(second)
        assert all(map(math.isnan, read_values("A", "F=inf,nan", kind="numbers")))

    def test_word_in_the_place_of_a_number(self) -> None:
        with pytest.raises(InputError, match=r"F is 'high', expected a number or '\.'"):
            read_values("A", "F=0.5,high", kind="numbers")
