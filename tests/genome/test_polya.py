"""Poly(A) sites by gene."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.paths import need
from vepscore.errors import AnnotationError
from vepscore.genome.annotation import Gene
from vepscore.genome.polya import PolyASites

TABLE = """\
gene_id	chrom	start	strand
ENSG00000000001	chrX	500	+
ENSG00000000001	chrX	200	+
ENSG00000000001	chrX	200	+
ENSG00000000001	chrX	300	-
ENSG00000000001	chrY	700	+
ENSG00000000002.3	chr16	40	-

RP11-34P13.7	chr16	50	+
"""


def gene(gene_id: str, chrom: str = "chrX", strand: str = "+") -> Gene:
    return Gene(gene_id=gene_id, name=gene_id, type="", chrom=chrom, start0=0, end0=1000, strand=strand)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[str | bytes], PolyASites]:
    def from_text(text: str | bytes) -> PolyASites:
        path = tmp_path / "polya.tsv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return PolyASites.from_tsv(path)

    return from_text


@pytest.mark.parametrize(
    ("of", "starts"),
    [
        (gene("ENSG00000000001.12"), [200, 500]),
        (gene("ENSG00000000001"), [200, 500]),
        (gene("ENSG00000000001.12", strand="-"), [300]),
        (gene("ENSG00000000001.12_PAR_Y", "chrY"), [700]),
        (gene("ENSG00000000001.12", "X"), [200, 500]),
        (gene("ENSG00000000001.12", "chr1"), []),
        (gene("ENSG00000000002", "NC_000016.10", "-"), [40]),
        (gene("ENSG00000000002.9", "16", "-"), [40]),
        (gene("RP11-34P13.7", "chr16"), [50]),
        (gene("RP11-34P13.8", "chr16"), []),
        (gene("ENSG00000000003.1"), []),
    ],
)
def test_sites_of_a_gene(read: Callable[[str | bytes], PolyASites], of: Gene, starts: list[int]) -> None:
    assert read(TABLE).of_gene(of).tolist() == starts


def test_columns_in_another_order_with_extra_columns(read: Callable[[str | bytes], PolyASites]) -> None:
    sites = read("#start\tnote\tstrand\tgene_id\tchrom\n7\tx\t+\tg\tchrX\n")
    assert sites.of_gene(gene("g")).tolist() == [7]


@pytest.mark.parametrize(
    "wrap", [lambda text: text.replace(b"\n", b"\r\n"), gzip.compress], ids=["CRLF", "gzip"]
)
def test_line_ends_and_compression_change_nothing(
    read: Callable[[str | bytes], PolyASites], wrap: Callable[[bytes], bytes]
) -> None:
    plain, wrapped = read(TABLE), read(wrap(TABLE.encode()))
    assert wrapped.of_gene(gene("ENSG00000000001")).tolist() == [200, 500]
    assert wrapped.digest != plain.digest


@pytest.mark.parametrize(
    ("bad", "found"),
    [
        ("g\tchrX\t5\n", "found 3 tab-separated columns, expected at least 4"),
        ("g\tchrX\t-5\t+\n", "found start '-5', expected a whole number from 0 to 2147483647"),
        ("g\tchrX\t5.0\t+\n", "found start '5.0', expected a whole number from 0 to 2147483647"),
        ("g\tchrX\t5\t.\n", "found strand '.', expected + or -"),
        ("\tchrX\t5\t+\n", "found an empty gene_id or chrom"),
    ],
)
def test_malformed_lines_are_reported(
    read: Callable[[str | bytes], PolyASites], bad: str, found: str
) -> None:
    with pytest.raises(AnnotationError) as caught:
        read(TABLE + bad)
    where, what = caught.value.message.split("\n")
    assert where.endswith("polya.tsv line 10")
    assert what == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "found no column gene_id, chrom, start, strand"),
        ("gene_id\tchrom\tpos\tstrand\n", "found no column start"),
        ("gene_id\tchrom\tstart\tstrand\n", "no poly\\(A\\) sites"),
    ],
)
def test_tables_without_columns_or_sites(
    read: Callable[[str | bytes], PolyASites], text: str, found: str
) -> None:
    with pytest.raises(AnnotationError, match=found):
        read(text)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="No such file"):
        PolyASites.from_tsv(tmp_path / "absent.tsv")


def test_parity_table() -> None:
    sites = PolyASites.from_tsv(need("parity/polya.tsv"))
    assert sites.of_gene(gene("ENSG00000007516.14", "chr16")).tolist()[:3] == [1348639, 1348754, 1348792]
    assert sites.of_gene(gene("ENSG00000007516.14", "chr16", "-")).tolist() == []
