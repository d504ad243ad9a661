"""The alleles that a sample carries, compared with bcftools."""

from pathlib import Path

import pytest

from tests.io.samples import run_tool
from vepscore.errors import InputError
from vepscore.io.genotypes import Genotypes
from vepscore.io.records import open_records

META = """##fileformat=VCFv4.2
##contig=<ID=chr1,length=30000>
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="x">
##FORMAT=<ID=PR,Number=.,Type=String,Description="x">
"""
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT"
# FORMAT and the genotype of kid → the alleles that it carries
SHAPES = {
    ("GT", "0/0"): {0},
    ("GT", "0/1"): {0, 1},
    ("GT", "2|1"): {1, 2},
    ("GT", "./."): set(),
    ("GT", "."): set(),
    ("GT", "./1"): {1},
    ("GT", "0|."): {0},
    ("GT", "1"): {1},
    ("GT", "0"): {0},
    ("GT", "0/1/2"): {0, 1, 2},
    ("GT", "0/1/."): {0, 1},
    ("GT:DP", "0/1"): {0, 1},
    ("GT:DP", "0/1:3"): {0, 1},
    ("GT:DP", ".:3"): set(),
    ("GT:DP", "."): set(),
    ("DP:GT", "3:1/1"): {1},
    ("DP:GT", "3"): set(),
    ("DP:GT", "."): set(),
    ("PR:DP", "19,3:8"): set(),
    (".", "."): set(),
}
VCF_44 = {
    "/1": {1},
    "|0|1": {0, 1},
    "/0/1": {0, 1},
}  # with the first allele's phase, which older htslib refuses


def write(path: Path, shapes: list[tuple[str, str]], meta: str = META, samples: str = "mum\tkid") -> Path:
    rows = [
        f"chr1\t{number + 1}\t.\tC\tT,A\t.\t.\t.\t{keys}\t{':'.join('.' for _ in keys.split(':'))}\t{values}"
        for number, (keys, values) in enumerate(shapes)
    ]
    path.write_text(meta + "".join(f"{line}\n" for line in (f"{COLUMNS}\t{samples}", *rows)))
    return path


def carried(path: Path, sample: str = "kid") -> list[set[int]]:
    with open_records(path) as records:
        genotypes = Genotypes(records.header, sample)
        found = [set(genotypes.carried(record)) for record in records]
        genotypes.check()
    return found


def test_every_shape_of_genotype(tmp_path: Path) -> None:
    shapes = [*SHAPES, *(("GT", text) for text in VCF_44)]
    assert carried(write(tmp_path / "in.vcf", shapes)) == [*SHAPES.values(), *VCF_44.values()]


@pytest.mark.parametrize("shape", SHAPES)
def test_same_records_as_bcftools_view(tmp_path: Path, shape: tuple[str, str]) -> None:
    """One record per file: bcftools 1.16 crashes on several if GT is not first."""
    path = write(tmp_path / "in.vcf", [shape])
    kept = run_tool("bcftools", "view", "-s", "kid", "-c1", "-H", "--no-version", path)
    (alleles,) = carried(path)
    assert bool(kept) == bool(alleles - {0})


def test_sample_is_found_by_its_name(tmp_path: Path) -> None:
    path = write(tmp_path / "in.vcf", [("GT", "0/1")])
    assert carried(path, "mum") == [set()]
    with pytest.raises(InputError, match="has no sample dad; it has mum, kid"):
        carried(path, "dad")


def test_file_without_any_genotype_is_an_error(tmp_path: Path) -> None:
    bare = "".join(line for line in META.splitlines(keepends=True) if "ID=GT" not in line)
    with pytest.raises(InputError, match="found no GT in the FORMAT of any record"):
        carried(write(tmp_path / "in.vcf", [("PR:DP", "19,3:8"), (".", ".")], bare))
    assert carried(write(tmp_path / "in.vcf", [("DP", "3"), ("GT", "0/1")], bare)) == [set(), {0, 1}]
    assert carried(write(tmp_path / "in.vcf", [("DP", "3")])) == [set()]  # the header declares GT
    assert carried(write(tmp_path / "in.vcf", [], bare)) == []
