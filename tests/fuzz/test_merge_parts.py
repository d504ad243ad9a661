"""Damaged parts of a run: merged, or refused with one of our errors."""

from pathlib import Path

import pytest
from hypothesis import strategies as st

from tests.fuzz.budgets import each_budget, try_out
from tests.fuzz.checks import our_errors
from tests.fuzz.mutations import damaged
from tests.fuzz.vcfs import bgzip
from tests.io.samples import META, PROVENANCE, result_of, vcf_bytes
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.merging import merge
from vepscore.io.parts import SHARD_KEY
from vepscore.io.records import open_records
from vepscore.io.vcf import AnnotatedVcfWriter

RECORDS = (
    "chr1 10 . A C . . .",
    "chr1 11 . A C,<DEL> . . AC=1,2",
    "chr1 12 . A . . . DB",
    "chr2 5 . G T . . .",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Two shards of each kind, by suffix."""
    folder = tmp_path_factory.mktemp("parts")
    (folder / "in.vcf").write_bytes(vcf_bytes(*RECORDS, meta=META))
    parts: dict[str, list[Path]] = {}
    for number, (first, end) in enumerate([(0, 2), (2, 4)], 1):
        facts = PROVENANCE | {SHARD_KEY: f"{number}/2 records {first} to {end} of sha256:{'a' * 64}"}
        for suffix in (".vcf", ".vcf.gz", ".tsv", ".tsv.gz", ".parquet"):
            path = folder / f"{number}{suffix}"
            with open_records(folder / "in.vcf") as records:
                header = records.header.with_annotation(provenance=facts, contigs={"chr1": 99})
                is_table = suffix not in (".vcf", ".vcf.gz")
                with (
                    AlleleTableWriter(path, facts) if is_table else AnnotatedVcfWriter(path, header) as writer
                ):
                    for record in list(records)[first:end]:
                        writer.write(result_of(record))
            parts.setdefault(suffix, []).append(path)
    return parts


@each_budget
@pytest.mark.parametrize("suffix", [".vcf", ".vcf.gz", ".tsv", ".tsv.gz", ".parquet"])
def test_damaged_part_is_merged_or_refused(
    folder: Path, parts: dict[str, list[Path]], suffix: str, budget: str
) -> None:
    merged = folder / f"merged{suffix}"
    first, second = parts[suffix]
    hurt = folder / f"hurt{suffix}"

    def check(data: bytes) -> None:
        hurt.write_bytes(data)
        with our_errors(hurt, first, "the parts do not make up one run", merged):
            merge([first, hurt], str(merged))
        for path in folder.glob("merged*"):
            path.unlink()

    try_out(budget, check, damaged(st.just(second.read_bytes())))


def test_absurd_numbers_of_shards(folder: Path, parts: dict[str, list[Path]]) -> None:
    first, second = parts[".tsv"]
    for claim in ("999999999999999/999999999999999", "1/99999999999", "0/2", "3/2", "²/2"):
        (folder / "claim.tsv").write_text(second.read_text().replace("2/2 records", f"{claim} records"))
        with our_errors("claim.tsv", "is of another run") as errors:
            merge([folder / "claim.tsv", first], str(folder / "merged.tsv"))
        assert errors


def test_bgzipped_part_that_ends_between_blocks_is_refused(
    folder: Path, parts: dict[str, list[Path]]
) -> None:
    text = parts[".tsv"][1].read_bytes()
    whole = bgzip(text, text.rindex(b"\n", 0, -1) + 1)
    (folder / "short.tsv.gz").write_bytes(whole[: whole.rindex(b"\x1f\x8b\x08\x04", 0, -28)])
    with our_errors("short.tsv.gz") as errors:
        merge([parts[".tsv.gz"][0], folder / "short.tsv.gz"], str(folder / "merged.tsv"))
    assert "truncated" in str(errors[0])
