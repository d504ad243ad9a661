"""Structured header lines are parsed like htslib."""

import pysam
import pytest

from vepscore.io.meta_lines import parse_meta_line

LINES = [
    '##INFO=<ID=AF, Number=A, Type=Float, Description="Allele frequency">',
    '##INFO=<Number=A, ID=AF, Type=Float, Description="x">',
    '##INFO=< ID = AF ,Number= A ,Type=Float,Description= "x" >',
    '##INFO=<ID=AF,Number=1,Type=String,Description="a, b>c=<d>, ID=Z">',
    '##INFO=<ID=AF,Number=1,Type=String,Description="say \\"ID=Z, Number=2\\""  >',
    '##INFO=<ID=AF,Number=1,Type=String,Description="a \\\\",Source="b">',
    '##INFO=<Source=<a,b>,ID=AF,Number=.,Type=String,Description="">',
    '##INFO=<ID="AF",Number=1,Type=Integer,Description="quoted ID">',
    '##INFO=<ID=AF,Number=1,Type=Integer,Description="no end"',
    '##INFO=<ID=AF,Description="no end',
    '##INFO=<ID=AF,Number=1,Type=Integer,Description="junk" junk>',
    '##INFO=<ID=AF,Number=1,Type=Integer,Description="comma",>',
    "##INFO=<ID=AF,1b=c>",
    "##INFO=<ID,Number=1>",
    "##INFO=<>",
    "##INFO=ID=AF",
]


def as_htslib_reads(line: str, key: str = "INFO") -> dict[str, str] | None:
    """Return the keys and values of the line in htslib's header, without quotes; None if it has no such line."""
    header = pysam.VariantHeader()
    before = pysam.set_verbosity(0)
    try:
        header.add_line(line)
    except ValueError:
        return None
    finally:
        pysam.set_verbosity(before)
    found = [record for record in header.records if record.key == key and record.type != "GENERIC"]
    pairs = [(name, value) for record in found for name, value in record.attrs if name != "IDX"]
    return {name: value[1:-1] if value[:1] == '"' else value for name, value in pairs} if found else None


@pytest.mark.parametrize("line", LINES)
def test_line_is_parsed_like_htslib(line: str) -> None:
    found, expected = parse_meta_line(line, "INFO"), as_htslib_reads(line)
    if expected is not None:
        expected = {name: value.replace('\\"', '"').replace("\\\\", "\\") for name, value in expected.items()}
    assert found == expected


def test_values_of_a_contig_with_spaces_and_another_order() -> None:
    line = "##contig=<length=30000, ID=chr1, assembly = GRCh38>"
    assert parse_meta_line(line, "contig") == {"length": "30000", "ID": "chr1", "assembly": "GRCh38"}


def test_line_of_another_kind_gives_none() -> None:
    assert parse_meta_line(LINES[0], "FORMAT") is None
    assert parse_meta_line("##source=vepscore", "source") is None


def test_first_of_two_equal_keys_counts() -> None:
    assert parse_meta_line("##INFO=<ID=A,ID=B>", "INFO") == {"ID": "A"}
