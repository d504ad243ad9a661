"""Test the table with a row per allele: its columns, its forms and its provenance."""

import gzip
import math
import os
from collections.abc import Iterable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.io.samples import PROVENANCE, scored
from vepscore.errors import UsageError
from vepscore.genome.alleles import Status
from vepscore.io import allele_table as table
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.formats.allele_table_file import AlleleTable
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult

COLUMNS = [
    *("record", "alt_index", "chrom", "pos", "id", "ref", "alt", "VS_STATUS", "reason", "n_share"),
    *(
        "VS_SPLICE",
        "VS_SPLICE_GENE",
        "VS_SS",
        "VS_SSU",
        "VS_SJ",
        "VS_RNA",
        "VS_RNA_GENE",
        "VS_ATAC",
        "VS_DNASE",
    ),
    *("VS_CHIP_TF", "VS_CHIP_HISTONE", "VS_CAGE", "VS_PROCAP", "VS_CONTACT", "VS_POLYA"),
]
REASON = 'REF is "A" but the reference has\t"G" #1 (50%)'


def result(*alleles: AlleleResult, index: int = 0, identifier: str = "rs1") -> RecordResult:
    alts = tuple(allele.alt for allele in alleles)
    record = Record(index=index, chrom="1", pos1=100, id=identifier, ref="A", alts=alts, line=b"")
    return RecordResult(record=record, alleles=alleles)


RESULTS = (
    result(
        scored("C", VS_SPLICE=np.float32(1.23456789), VS_SPLICE_GENE="MYGENE", VS_RNA=math.nan), scored("G")
    ),
    result(index=1),
    result(AlleleResult(alt="T", status=Status.REF_MISMATCH, reason=REASON), index=2, identifier="."),
)


def write(path: Path, rows: Iterable[RecordResult] = RESULTS) -> None:
    with AlleleTableWriter(path, PROVENANCE) as writer:
        for row in rows:
            writer.write(row)


@pytest.mark.parametrize("suffix", [".tsv", ".tsv.gz"])
def test_text_starts_with_provenance_and_column_names(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path)
    data = path.read_bytes()
    lines = (gzip.decompress(data) if suffix == ".tsv.gz" else data).decode().splitlines()
    assert lines[:2] == [f"##{key}={value}" for key, value in PROVENANCE.items()]
    assert lines[2].split("\t") == COLUMNS
    assert lines[3].split("\t")[:13] == (
        ["0", "0", "1", "100", "rs1", "A", "C", "OK", "", "0.125", "1.23457", "MYGENE", ""]
    )
    assert len(lines) == 6


@pytest.mark.parametrize("suffix", AlleleTable.suffixes)
def test_pandas_reads_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path)
    frame = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path, sep="\t", comment="#")
    assert list(frame) == COLUMNS
    assert frame[["record", "alt_index", "alt", "VS_STATUS"]].values.tolist() == [
        [0, 0, "C", "OK"],
        [0, 1, "G", "OK"],
        [2, 0, "T", "REF_MISMATCH"],
    ]
    assert frame["VS_SPLICE"][0] == pytest.approx(1.23457, abs=1e-5)
    assert frame["VS_SPLICE"].isna().tolist() == [False, True, True]
    assert frame["VS_RNA"].isna().all()
    assert frame["id"].isna().tolist() == [False, False, True]
    assert frame["n_share"].isna().tolist() == [False, False, True]
    reason = REASON if suffix == ".parquet" else 'REF is "A" but the reference has%09"G" %231 (50%25)'
    assert frame["reason"][2] == reason


def test_duckdb_reads_both_forms(tmp_path: Path) -> None:
    for suffix in (".parquet", ".tsv"):
        path = tmp_path / f"out{suffix}"
        write(path)
        source = f"'{path}'" if suffix == ".parquet" else f"read_csv('{path}', delim='\t', comment='#')"
        query = f"select count(*), count(VS_SPLICE), min(VS_SPLICE_GENE) from {source}"
        assert duckdb.sql(query).fetchall() == [(3, 1, "MYGENE")]


def test_a_leading_quotation_mark_does_not_swallow_cells(tmp_path: Path) -> None:
    write(tmp_path / "out.tsv", [result(scored("C"), identifier='"odd'), result(scored("C"), index=1)])
    frame = pd.read_csv(tmp_path / "out.tsv", sep="\t", comment="#")
    assert frame["id"].tolist() == ["%22odd", "rs1"]


def test_parquet_is_written_in_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "ROW_GROUP_ROWS", 2)
    write(tmp_path / "out.parquet")
    metadata = pq.read_metadata(tmp_path / "out.parquet")
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [2, 1]
    assert metadata.metadata[b"vepscoreVersion"] == b"0.1.0"


@pytest.mark.parametrize("suffix", AlleleTable.suffixes)
def test_the_same_results_give_the_same_bytes_and_none_an_empty_table(tmp_path: Path, suffix: str) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    write(tmp_path / f"a{suffix}", [])
    path = tmp_path / f"a{suffix}"
    frame = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path, sep="\t", comment="#")
    assert frame.shape == (0, len(COLUMNS))


@pytest.mark.parametrize("suffix", AlleleTable.suffixes)
def test_a_failure_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(KeyError), AlleleTableWriter(tmp_path / f"out{suffix}", PROVENANCE) as writer:
        writer.write(RESULTS[0])
        raise KeyError
    assert os.listdir(tmp_path) == []


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.tsv\.gz"):
        AlleleTableWriter(tmp_path / "out.csv", PROVENANCE)
