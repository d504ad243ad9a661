"""The published tables of targets become tracks."""

from pathlib import Path

import pytest

from vepscore.errors import CheckpointError
from vepscore.networks.targets import Targets, head_sizes, parse_description, read_targets
from vepscore.outputs import Output

FIELDS = "index\tidentifier\tstrand_pair\tdescription"
# identifier, strand_pair, description
ROWS = (
    ("C1+", 1, "CAGE:blood, pool1"),
    ("C1-", 0, "CAGE:blood, pool1"),
    ("R1", 2, "RNA:adrenal gland"),
    ("G1", 3, "GRO:GRO-seq WT Liver ZT1 / liver / ."),
    ("D1", 4, "DNASE:cerebellum male adult (27 years)"),
    ("R2+", 6, "RNA:K562 treated: once"),
    ("R2-", 5, "RNA:K562 treated: once"),
)
Rows = tuple[tuple[str, object, str], ...]


def write_table(path: Path, rows: Rows) -> Path:
    lines = [f"{index}\t{name}\t{pair}\t{words}" for index, (name, pair, words) in enumerate(rows)]
    path.write_text("\n".join([FIELDS, *lines]) + "\n")
    return path


def read(path: Path) -> Targets:
    return read_targets(path, hint="pass the published table")


def test_columns_become_tracks(tmp_path: Path) -> None:
    targets = read(write_table(tmp_path / "t.txt", ROWS))
    assert [row["identifier"] for row in targets.rows] == ["C1+", "C1-", "R1", "G1", "D1", "R2+", "R2-"]
    assert {output: [*columns] for output, columns in targets.columns.items()} == {
        Output.DNASE: [4],
        Output.CAGE: [0, 1],
        Output.RNA_SEQ: [2, 5, 6],
    }
    rna = targets.tracks[Output.RNA_SEQ]
    assert rna.name.tolist() == ["R1", "R2+", "R2-"]
    assert rna.strand.tolist() == [".", "+", "-"]
    assert rna.strand_partners.tolist() == [0, 2, 1]
    assert rna.biosample_name.tolist() == ["adrenal gland", "K562 treated: once", "K562 treated: once"]
    assert rna.assay.tolist() == ["RNA-seq"] * 3
    assert rna.channel.tolist() == [0, 1, 2]


def test_tracks_of_a_table_without_pairs_are_unstranded(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("identifier\tdescription\nC1+\tCAGE:blood\n")
    assert read(path).tracks[Output.CAGE].strand.tolist() == ["."]


def test_heads_have_the_channels_of_the_organism_with_more_tracks(tmp_path: Path) -> None:
    of_both = [read(write_table(tmp_path / "t.txt", rows)) for rows in (ROWS[:3], ROWS[:2])]
    assert head_sizes(of_both) == {Output.CAGE: 2, Output.RNA_SEQ: 1}
    assert head_sizes([]) == {}


# Descriptions of the published tables.
@pytest.mark.parametrize(
    ("description", "parsed"),
    [
        ("DNASE:K562 G1 phase", ("DNASE", "K562 G1 phase", "DNase-seq")),
        ("ATAC:BM1077 / Marrow / pDC", ("ATAC", "BM1077 / Marrow / pDC", "ATAC-seq")),
        ("CAGE:lung, cell line:NCI-H441", ("CAGE", "lung, cell line:NCI-H441", "CAGE")),
        ("RNA:liver", ("RNA_SEQ", "liver", "RNA-seq")),
        ("CHIP:CTCF:GM12878", ("CHIP_TF", "GM12878", "TF ChIP-seq CTCF")),
        ("CHIP:HNF4A:liver", ("CHIP_TF", "liver", "TF ChIP-seq HNF4A")),
        ("CHIP:eGFP-KLF9:HEK293", ("CHIP_TF", "HEK293", "TF ChIP-seq eGFP-KLF9")),
        ("CHIP:BMAL1:U2OS Bmal1:Luc", ("CHIP_TF", "U2OS Bmal1:Luc", "TF ChIP-seq BMAL1")),
        ("CHIP:H3K27ac:GM12878", ("CHIP_HISTONE", "GM12878", "Histone ChIP-seq H3K27ac")),
        ("CHIP:H2AFZ:A549", ("CHIP_HISTONE", "A549", "Histone ChIP-seq H2AFZ")),
        ("CHIP:H3ac:liver", ("CHIP_HISTONE", "liver", "Histone ChIP-seq H3ac")),
        ("CHIP:.:x_LoVo_H3K4me1_Rabbit", ("CHIP_HISTONE", "x_LoVo_H3K4me1_Rabbit", "Histone ChIP-seq H3K4me1")),
        ("CHIP:.:H3K9ac at ZT10 / .", ("CHIP_HISTONE", "H3K9ac at ZT10 / .", "Histone ChIP-seq H3K9ac")),
        ("CHIP:.:HDAC3_KO / liver / .", ("CHIP_TF", "HDAC3_KO / liver / .", "TF ChIP-seq")),
        ("GRO:GRO-seq WT", None),
    ],
)  # fmt: skip
def test_descriptions(description: str, parsed: tuple[str, str, str] | None) -> None:
    assert parse_description(description) == parsed


def replaced(row: int, field: int, value: object) -> Rows:
    rows = [list(target) for target in ROWS]
    rows[row][field] = value
    return tuple(tuple(target) for target in rows)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (replaced(0, 2, "WGBS:blood"), 'line 2\ndescription: found "WGBS:blood"'),
        (replaced(4, 2, "CHIP:CTCF"), 'line 6\ndescription: found "CHIP:CTCF"'),
        (replaced(2, 2, ""), 'line 4\ndescription: found ""'),
        (replaced(0, 1, 3), 'line 2\nstrand_pair: found "3"'),
        (replaced(2, 1, 1), 'line 4\nstrand_pair: found "1"'),
        (replaced(1, 1, "x"), 'line 3\nstrand_pair: found "x"'),
        ((), "no targets"),
    ],
)
def test_invalid_tables_are_refused(rows: Rows, message: str, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as raised:
        read(write_table(tmp_path / "t.txt", rows))
    assert message in raised.value.message


def test_files_that_are_no_table_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    with pytest.raises(CheckpointError, match="cannot be read"):
        read(path)
    path.write_text("a\tb\n1\t2\n")
    with pytest.raises(CheckpointError, match="columns description, identifier, scale are missing"):
        read_targets(path, hint="", fields=["scale"])
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CheckpointError, match="not text"):
        read(path)
