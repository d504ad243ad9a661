"""What a run was made with is read back from the header that tells it."""

import dataclasses

import pytest

from vepscore.contract import EntryForm
from vepscore.genome.indel_anchor import IndelAnchor
from vepscore.io.run_metadata import NamedFile, RunMetadata, ShardRecords, header_key

DIGEST = 64 * "a"
WHOLE = RunMetadata(
    version="0.2.0",
    command="vepscore score 'my file.vcf' -r ref.fa",
    checkpoint=NamedFile("a small one", DIGEST),
    reference=NamedFile("ref.fa", DIGEST),
    annotation=NamedFile("genes.gtf", DIGEST),
    polya=NamedFile("polya.tsv", DIGEST),
    organism="mouse",
    window_bp=131_072,
    align_bp=128,
    strand="-",
    on_ref_mismatch="substitute",
    as_written=True,
    indel_anchor=IndelAnchor.BOTH,
    precision="bfloat16",
    rotary="float32",
    engine="dense",
    scorers=("ATAC", "RNA_SEQ"),
    scorers_not_run=("CAGE", "DNASE"),
    delta_scores="distance 50 bp, not masked",
    entry_form=EntryForm("Pangolin", "GENE|POSITION:GAIN"),
    terms="non-commercial use only",
    quantiles=NamedFile("quantiles.parquet", DIGEST),
    shard=ShardRecords(2, 4, 10, 20, DIGEST),
    background=NamedFile("common.vcf", DIGEST),
    versions=(("vepscore", "0.2.0"), ("python", "3.11.9")),
)


def test_header_is_read_back() -> None:
    assert RunMetadata.from_header(WHOLE.to_header()) == WHOLE
    same = {field.name for field in dataclasses.fields(WHOLE) if getattr(WHOLE, field.name) == field.default}
    assert same == {"use"}


def test_what_is_not_known_is_not_written() -> None:
    bare = RunMetadata(version="0.2.0")
    assert bare.to_header().keys().isdisjoint(map(header_key, ("checkpoint", "polya", "quantiles", "shard")))
    assert RunMetadata.from_header(bare.to_header()) == bare
    assert bare.text_of("quantiles") == "none"


def test_text_of_fields() -> None:
    header = WHOLE.to_header()
    assert header["vepscoreWindow"] == "131072 bp" and header["vepscoreAlleles"] == "as written"
    assert header["vepscoreCheckpoint"] == f"a small one sha256:{DIGEST}"
    assert header["vepscoreShard"] == f"2/4 records 10 to 20 of sha256:{DIGEST}"
    assert WHOLE.text_of("window_bp") == "131072 bp"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("window_bp", "of another kind"),
        ("window_bp", "0 bp"),
        ("align_bp", "many"),
        ("checkpoint", "no digest"),
        ("indel_anchor", "middle"),
        ("shard", "5/4 records 0 to 1 of sha256:" + DIGEST),
    ],
)
def test_text_that_says_nothing_is_passed_over(name: str, text: str) -> None:
    found = RunMetadata.from_header({header_key(name): text})
    assert getattr(found, name) == getattr(RunMetadata(), name)
