"""Test the table of all scores: its columns, row groups and bytes, and the scores that it refuses."""

import dataclasses
import math
import os
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.io.samples import MYGENE, PROVENANCE, block_of, tracks_of
from vepscore.contract import ScoreMatrix
from vepscore.errors import OutputError, PluginError
from vepscore.genome.alleles import Status
from vepscore.genome.windows import Window
from vepscore.io import long_table, tidy
from vepscore.io.long_table import LongTableWriter
from vepscore.io.long_table_reader import LongTableReader
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.outputs import Output

TRACKS = {
    Output.ATAC: tracks_of(Output.ATAC, 3),
    Output.RNA_SEQ: tracks_of(Output.RNA_SEQ, 2),
    Output.SPLICE_JUNCTIONS: tracks_of(Output.SPLICE_JUNCTIONS, 2),
}
ATAC = block_of(Output.ATAC, [[1, math.nan, -3]])
RNA = block_of(Output.RNA_SEQ, [[0.5, math.nan], [0.25, 0.125]], genes=(MYGENE, None))
JUNCTIONS = block_of(
    Output.SPLICE_JUNCTIONS,
    [[1, 2], [3, 4]],
    genes=(MYGENE, MYGENE),
    junctions=np.array([[100, 200], [0, 50]]),
)
EMPTY = block_of(Output.ATAC, [[math.nan] * 3])


def results(count: int = 1, matrices: tuple[ScoreMatrix, ...] = (ATAC, RNA, JUNCTIONS)) -> list[RecordResult]:
    """Records with two ALTs, of which the second was scored."""
    skipped = AlleleResult(alt="*", status=Status.SYMBOLIC)
    return [
        RecordResult(
            record=Record(
                index=i, chrom="1", pos1=100 + i, id=".", ref="A", alts=("*", f"C{'G' * (i % 3)}"), line=b""
            ),
            alleles=(skipped, AlleleResult(alt=f"C{'G' * (i % 3)}", status=Status.OK, matrices=matrices)),
        )
        for i in range(count)
    ]


def write(path: Path, rows: list[RecordResult]) -> None:
    with LongTableWriter(path, TRACKS, PROVENANCE) as writer:
        for row in rows:
            writer.write(row)


def test_columns_and_types(tmp_path: Path) -> None:
    write(tmp_path / "out.parquet", results())
    schema = pq.read_schema(tmp_path / "out.parquet")
    text = pa.dictionary(pa.int32(), pa.string())
    assert list(zip(schema.names, schema.types, strict=True)) == [
        ("variant_id", text),
        ("scored_interval", text),
        ("gene_id", text),
        ("gene_name", text),
        ("gene_type", text),
        ("gene_strand", text),
        ("junction_Start", pa.int64()),
        ("junction_End", pa.int64()),
        ("output_type", text),
        ("variant_scorer", text),
        ("track_name", text),
        ("track_strand", text),
        ("Assay title", text),
        ("ontology_curie", text),
        ("biosample_name", text),
        ("record", pa.int64()),
        ("alt_index", pa.int32()),
        ("chrom", text),
        ("pos", pa.int64()),
        ("ref", text),
        ("alt", text),
        ("site_pos", pa.int64()),
        ("track_index", pa.int32()),
        ("raw_score", pa.float32()),
        ("quantile_score", pa.float32()),
    ]
    metadata = {key.decode(): value.decode() for key, value in schema.metadata.items()}
    assert metadata.items() >= PROVENANCE.items()


def test_rows_are_named(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write(path, results())
    table = pd.read_parquet(path).astype(object)
    table = table.where(table.notna(), None)
    columns = [
        "variant_scorer",
        "gene_name",
        "junction_Start",
        "junction_End",
        "track_index",
        "track_name",
        "raw_score",
    ]
    assert table[columns].values.tolist() == [
        ["ATAC", None, None, None, 0, "ATAC 0", 1],
        ["ATAC", None, None, None, 2, "ATAC 2", -3],
        ["RNA_SEQ", "MYGENE", None, None, 0, "RNA_SEQ 0", 0.5],
        ["RNA_SEQ", None, None, None, 0, "RNA_SEQ 0", 0.25],
        ["RNA_SEQ", None, None, None, 1, "RNA_SEQ 1", 0.125],
        ["SPLICE_JUNCTIONS", "MYGENE", 100, 200, 0, "SPLICE_JUNCTIONS 0", 1],
        ["SPLICE_JUNCTIONS", "MYGENE", 100, 200, 1, "SPLICE_JUNCTIONS 1", 2],
        ["SPLICE_JUNCTIONS", "MYGENE", 0, 50, 0, "SPLICE_JUNCTIONS 0", 3],
        ["SPLICE_JUNCTIONS", "MYGENE", 0, 50, 1, "SPLICE_JUNCTIONS 1", 4],
    ]
    assert set(table["output_type"]) == {"ATAC", "RNA_SEQ", "SPLICE_JUNCTIONS"}
    first = table.iloc[2].to_dict()
    assert [first[name] for name in ("record", "alt_index", "chrom", "pos", "ref", "alt")] == [
        0,
        1,
        "1",
        100,
        "A",
        "C",
    ]
    assert [first[name] for name in ("gene_id", "gene_type", "gene_strand")] == [
        "ENSG1.2",
        "protein_coding",
        "+",
    ]
    assert [first[name] for name in ("track_strand", "biosample_name")] == ["+", "tissue 0"]
    assert table["ontology_curie"].tolist()[:2] == [None, None]
    assert table["ontology_curie"].tolist()[4] == "UBERON:1"
    assert table["Assay title"].isna().all()
    assert table["quantile_score"].isna().all()


def test_variant_and_window_are_named_as_alphagenome_names_them(tmp_path: Path) -> None:
    with LongTableWriter(tmp_path / "out.parquet", TRACKS, PROVENANCE) as writer:
        for result in results(2, matrices=(ATAC,)):
            window = Window(chrom="chr1", start0=-20, end0=180)
            skipped, scored = result.alleles
            alleles = (skipped, dataclasses.replace(scored, window=window))
            writer.write(dataclasses.replace(result, alleles=alleles))
    table = pd.read_parquet(tmp_path / "out.parquet")
    assert table["variant_id"].tolist() == ["1:100:A>C", "1:100:A>C", "1:101:A>CG", "1:101:A>CG"]
    assert set(table["scored_interval"]) == {"chr1:-20-180:."}


def test_columns_of_the_previous_release_are_read_by_their_current_names(tmp_path: Path) -> None:
    write(tmp_path / "out.parquet", results())
    table = pq.read_table(tmp_path / "out.parquet")
    old_name = {current: old for old, current in tidy.RENAMED.items()}
    table = table.rename_columns([old_name.get(name, name) for name in table.column_names])
    table = table.select(tidy.COLUMNS_OF_0_1)
    pq.write_table(table, tmp_path / "old.parquet")
    columns = ["raw_score", "variant_scorer", "junction_End", "Assay title", "gene_id"]
    current, old = (
        next(LongTableReader(tmp_path / name).groups(columns)) for name in ("out.parquet", "old.parquet")
    )
    assert old.column_names == columns
    assert old.to_pydict() == current.to_pydict()


def test_site_positions_are_1_based_and_null_where_there_is_none(tmp_path: Path) -> None:
    sites = block_of(Output.RNA_SEQ, [[1, 2], [3, math.nan], [4, math.nan]], genes=(MYGENE,) * 3)
    sites = dataclasses.replace(sites, positions=np.array([0, 2**40, -1]))
    write(tmp_path / "out.parquet", results(1, matrices=(ATAC, JUNCTIONS, sites)))
    table = pd.read_parquet(tmp_path / "out.parquet").set_index("variant_scorer")
    assert table.loc[["ATAC", "SPLICE_JUNCTIONS"], "site_pos"].isna().all()
    found = table.loc["RNA_SEQ", "site_pos"]
    assert found.dropna().tolist() == [1, 1, 2**40 + 1]
    assert found.isna().tolist() == [False, False, False, True]
    assert table.loc["RNA_SEQ", "junction_Start"].isna().all()


def test_duckdb_queries_it(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    write(path, results(10))
    answer = duckdb.sql(
        "select variant_scorer, count(*), max(raw_score), count(gene_id) "
        f"from '{path}' where record < 4 group by 1 order by 1"
    ).fetchall()
    assert answer == [("ATAC", 8, 1.0, 0), ("RNA_SEQ", 12, 0.5, 4), ("SPLICE_JUNCTIONS", 16, 4.0, 16)]


@pytest.mark.parametrize("group_rows", [1, 4, 9, 10, 1000])
def test_row_groups_are_full_but_for_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_rows: int
) -> None:
    path, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    write(whole, results(5))
    monkeypatch.setattr(long_table, "ROW_GROUP_ROWS", group_rows)
    write(path, results(5))
    metadata = pq.read_metadata(path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sizes[:-1] == [group_rows] * (len(sizes) - 1)
    assert sum(sizes) == 45
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    pd.testing.assert_frame_equal(
        pd.read_parquet(path).astype(object), pd.read_parquet(whole).astype(object), check_dtype=False
    )


def test_each_row_group_has_only_the_words_it_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_table, "ROW_GROUP_ROWS", 2)
    write(tmp_path / "out.parquet", results(2, matrices=(RNA, ATAC)))
    file = pq.ParquetFile(tmp_path / "out.parquet", read_dictionary=["variant_scorer"])
    words = [
        file.read_row_group(i)["variant_scorer"].unify_dictionaries().chunk(0).dictionary.to_pylist()
        for i in range(5)
    ]
    assert words == [["RNA_SEQ"], ["RNA_SEQ", "ATAC"], ["ATAC", "RNA_SEQ"], ["RNA_SEQ"], ["ATAC"]]


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write(tmp_path / name, results(20))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


@pytest.mark.parametrize(
    "rows", [[], results(3, matrices=()), results(3, matrices=(EMPTY,))], ids=["none", "no blocks", "nan"]
)
def test_nothing_scored_is_an_empty_table(tmp_path: Path, rows: list[RecordResult]) -> None:
    write(tmp_path / "out.parquet", rows)
    assert pd.read_parquet(tmp_path / "out.parquet").shape == (0, 25)


def test_scores_that_do_not_fit_the_tracks_are_refused(tmp_path: Path) -> None:
    wrong = block_of(Output.ATAC, [[1, 2]])
    with pytest.raises(PluginError, match=r"scorer ATAC\n.*\(1, 2\), expected \(1, 3\)"):
        write(tmp_path / "out.parquet", results(1, matrices=(wrong,)))
    with pytest.raises(PluginError, match="DNASE"):
        write(tmp_path / "out.parquet", results(1, matrices=(block_of(Output.DNASE, [[1, 2]]),)))
    assert os.listdir(tmp_path) == []


def test_an_impossible_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write(tmp_path / "absent" / "out.parquet", [])
