"""`vepscore rank`: order, filters, tissues, events, and what is said of alleles that have no place."""

import csv
import dataclasses
import gzip
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from tests.builtin_scorers import BUILTIN, load
from tests.cli.commands import MAIN, ROOT, vepscore
from tests.cli.terminal import read_until
from tests.report.scored import (
    GENES,
    PROVENANCE,
    TRACKS,
    Scored,
    allele_of,
    events_of,
    ranked,
    vcf_text,
    write_scored,
)
from tests.report.scored import MAIN as GENE
from tests.scorers.cases import gtf_text
from vepscore.contract import ScoreMatrix
from vepscore.errors import InputError, UsageError
from vepscore.io import long_table as parquet
from vepscore.io.fields import FIELDS
from vepscore.io.info import format_info
from vepscore.io.long_table import LongTableWriter
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.outputs import Output
from vepscore.report.filters import GeneList, MaxFrequency, RegionFilters
from vepscore.report.modalities import MODALITIES, find_modality
from vepscore.report.ranking import Ranking, RankingOptions, is_long_table, rank
from vepscore.report.ranking_table import ranking_frame, tsv_lines

ALL = [(0, 0), (4, 0), (1, 0)]
TWIN = ("protein_coding", "-", [[(1500, 1600), (2040, 2060), (2800, 2900)]])  # of MAIN, on the other strand
GENE_TWIN = dataclasses.replace(GENE, start0=1500, end0=2900, strand="-")
SITES = ScoreMatrix(
    scorer="SPLICE_SITES", output=Output.SPLICE_SITES, values=np.full((1, 4), 0.75, np.float32), genes=(GENE,)
)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return write_scored(tmp_path_factory.mktemp("scored"))


@pytest.fixture(params=["vcf", "parquet"])
def either(request: pytest.FixtureRequest, scored: Scored) -> Path:
    return getattr(scored, request.param)


def renamed(scored: Scored, folder: Path, **names: str) -> list[Path]:
    """The VCF and the long table with other names of contigs and genes."""
    vcf, table = folder / "renamed.vcf", folder / "renamed.parquet"
    text, rows = scored.vcf.read_text(), pq.read_table(scored.parquet)
    for name, other in names.items():
        text = text.replace(f"{name}\t", f"{other}\t").replace(f"|{name}|", f"|{quote(other, safe='*')}|")
        text = text.replace(f"={name};", f"={other};")
    for number, column in enumerate(rows.column_names):
        values = rows[column].to_pylist()
        if any(value in names for value in values):
            rows = rows.set_column(number, column, pa.array([names.get(value, value) for value in values]))
    vcf.write_text(text)
    pq.write_table(rows, table)
    return [vcf, table]


@pytest.fixture
def on_contig(scored: Scored, tmp_path: Path) -> Callable[[str], list[Path]]:
    return lambda name: renamed(scored, tmp_path, chr1=name)


@pytest.fixture(scope="module")
def clones(scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The scored run, with names and ids of clone genes in place of MAIN and OTHER."""
    return renamed(
        scored,
        tmp_path_factory.mktemp("clones"),
        MAIN="ENSG00000182378.15_PAR_Y",
        Main="RP11-34P13.7",
        OTHER="ENSG00000238009.2",
        Other="RP11-34P13.13",
    )


def write_one(path: Path, allele: AlleleResult) -> Path:
    """An annotated VCF or a long table of one record of one ALT."""
    record = Record(index=0, chrom="chr1", pos1=2050, id=".", ref="A", alts=(allele.alt,), line=b"")
    if path.suffix == ".parquet":
        with LongTableWriter(path, TRACKS, PROVENANCE) as writer:
            writer.write(RecordResult(record=record, alleles=(allele,)))
        return path
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    cells = ["chr1", "2050", ".", "A", allele.alt, ".", ".", format_info([allele]).decode()]
    header = ["##fileformat=VCFv4.2", *(field.header_line for field in FIELDS)]
    path.write_text("\n".join([*header, "\t".join(columns), "\t".join(cells), ""]))
    return path


def places(ranking: Ranking) -> list[tuple[int, int]]:
    return [(row.allele.record, row.allele.alt_index) for row in ranking.rows]


def rows_of(ranking: Ranking) -> list[dict[str, str]]:
    return list(csv.DictReader((one for one in tsv_lines(ranking) if one[:2] != "##"), delimiter="\t"))


class TestOrder:
    def test_strongest_first_and_of_equals_the_first_in_the_file(self, either: Path) -> None:
        ranking = ranked(either)
        assert places(ranking) == ALL
        assert [row.rank for row in ranking.rows] == [1, 2, 3]
        assert [round(row.measure.value, 6) for row in ranking.rows] == [1.5, 1.5, 0.75]
        assert [row.measure.gene for row in ranking.rows] == ["Main", "Other", "Main"]

    def test_signed_scores_by_their_size(self, either: Path) -> None:
        ranking = ranked(either, "dnase")
        assert places(ranking) == [(1, 0), (0, 0), (2, 0)]
        assert [row.measure.value for row in ranking.rows] == [-0.75, 0.5, -0.25]
        assert [row.measure.parts[0].tissue for row in ranking.rows] == ["K562", "heart", "heart"]

    def test_top_keeps_the_first_and_counts_the_others(self, either: Path) -> None:
        ranking = ranked(either, top=1)
        assert places(ranking) == ALL[:1]
        assert ranking.excluded["below the top"] == 2

    def test_each_maximum_has_its_gene_track_and_tissue(self, either: Path) -> None:
        first, second, _ = rows_of(ranked(either))[:3]
        assert first["maxima"].split(",") == [
            "SPLICE_SITES|MAIN|Main|0.75|acceptor|",
            "SPLICE_SITE_USAGE|MAIN|Main|0.5|usage|left%20liver",
            "SPLICE_JUNCTIONS|MAIN|Main|1.25|junction|heart",
        ]
        found = [first[name] for name in ("gene", "gene_id", "track", "tissue")]
        assert found == ["Main", "MAIN", "acceptor", ""]
        assert (second["gene"], second["track"]) == ("Other", "donor")

    def test_unknown_modality(self) -> None:
        with pytest.raises(UsageError, match="--by splcie\n  expected one of splice, rna, atac"):
            find_modality("splcie")

    def test_every_modality_is_a_field_and_a_scorer_that_exist(self) -> None:
        from vepscore.io.fields import VALUE_FIELD_IDS

        for modality in MODALITIES.values():
            assert modality.field in VALUE_FIELD_IDS
            fields = {load(BUILTIN[name]).info_field for name in modality.weights}
            assert modality.is_composite or fields == {modality.field}

    def test_composite_is_that_of_the_engine(self) -> None:
        from vepscore.engine.summary import COMPOSITE_FIELD, COMPOSITE_WEIGHTS
        from vepscore.scorers import splice_junctions, splicing

        parts = (splicing.SPLICE_SITES, splicing.SPLICE_SITE_USAGE, splice_junctions.SPLICE_JUNCTIONS)
        composite = MODALITIES["splice"]
        assert composite.field == COMPOSITE_FIELD
        assert {part.info_field: composite.weights[part.name] for part in parts} == COMPOSITE_WEIGHTS


@pytest.mark.parametrize(
    ("name", "content", "is_table"),
    [
        ("scores.data", b"PAR1 and more", True),
        ("scores.parquet", b"##fileformat=VCFv4.2", False),
        ("absent.parquet", None, True),
        ("absent.vcf", None, False),
    ],
)
def test_format_of_a_table_follows_from_its_content_or_else_its_name(
    tmp_path: Path, name: str, content: bytes | None, is_table: bool
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert is_long_table(str(tmp_path / name)) == is_table


def test_standard_input_is_no_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "-").write_bytes(b"PAR1")
    monkeypatch.chdir(tmp_path)
    assert not is_long_table("-")


def test_a_data_frame_is_ranked_as_the_file_of_the_same_rows(scored: Scored) -> None:
    frame = pd.read_parquet(scored.parquet)
    of_file, of_frame = (rank(RankingOptions(source=one)) for one in (scored.parquet, frame))
    table = ranking_frame(of_frame)
    pd.testing.assert_frame_equal(table, ranking_frame(of_file))
    assert table["rank"].tolist() == [1, 2, 3]
    assert table.columns[:7].tolist() == ["rank", "chrom", "pos", "id", "ref", "alt", "status"]
    assert table["VS_SPLICE"].tolist() == [row.measure.value for row in of_file.rows]
    with pytest.raises(InputError, match="the DataFrame\n  has no column raw_score"):
        rank(RankingOptions(source=frame.drop(columns="raw_score")))


def test_alleles_that_were_not_scored_have_no_rank_in_the_frame(scored: Scored) -> None:
    table = ranking_frame(rank(RankingOptions(source=scored.vcf)))
    unscored = table[table["rank"].isna()]
    assert unscored["status"].tolist() == ["SYMBOLIC", "REF_MISMATCH"]


class TestExclusions:
    def test_vcf(self, scored: Scored) -> None:
        ranking = ranked(scored.vcf)
        assert ranking.excluded == {"no VS_SPLICE": 1, "record without an ALT": 1}
        assert [(one.record, one.alt, one.status) for one in ranking.unscored] == [
            (1, "<DEL>", "SYMBOLIC"),
            (3, "A", "REF_MISMATCH"),
        ]
        assert ranking.alleles == 7
        assert [(row["rank"], row["pos"], row["status"]) for row in rows_of(ranking)[-2:]] == [
            ("", "2131", "SYMBOLIC"),
            ("", "100", "REF_MISMATCH"),
        ]
        lines = list(tsv_lines(ranking))
        assert "##rankAlleles=3 of 7, 2 not scored" in lines
        assert "##rankExcluded=1 no VS_SPLICE; 1 record without an ALT" in lines
        assert "##vepscoreCheckpoint=of-a-test" in lines

    def test_alleles_that_no_scorer_applies_to_are_counted_and_not_listed(
        self, scored: Scored, tmp_path: Path
    ) -> None:
        path = tmp_path / "genome.vcf"
        path.write_text(scored.vcf.read_text().replace("VS_STATUS=REF_MISMATCH", "VS_STATUS=NOT_APPLICABLE"))
        ranking = ranked(path)
        assert [(one.alt, one.status) for one in ranking.unscored] == [("<DEL>", "SYMBOLIC")]
        assert ranking.excluded["without an applicable scorer"] == 1
        assert ranking.alleles == 7

    def test_long_table_has_scored_alleles_only(self, scored: Scored) -> None:
        ranking = ranked(scored.parquet)
        assert (ranking.excluded, ranking.unscored) == ({"no VS_SPLICE": 1}, ())
        assert "##vepscoreCheckpoint=of-a-test" in ranking.provenance


class TestFilters:
    @pytest.mark.parametrize(
        ("region", "expected"),
        [
            ("chr1", ALL),
            ("1", ALL),
            ("chr1:2001-2131", [(0, 0), (1, 0)]),
            ("1:2,002-3,049", [(1, 0)]),
            ("chr1:3050", [(4, 0)]),
            ("chr2", []),
        ],
    )
    def test_region(self, either: Path, region: str, expected: list[tuple[int, int]]) -> None:
        ranking = ranked(either, regions=[region])
        assert places(ranking) == expected

    def test_region_holds_for_unscored_alleles_too(self, scored: Scored) -> None:
        assert [one.record for one in ranked(scored.vcf, regions=["chr2"]).unscored] == [3]

    @pytest.mark.parametrize("text", ["", "chr1:0-5", "chr1:5-4", "chr1:99999999999", "{chr1}:x"])
    def test_malformed_region(self, text: str) -> None:
        with pytest.raises(UsageError, match=r"expected (CONTIG|a start of at least 1)"):
            RegionFilters([text])

    @pytest.mark.parametrize("name", ["HLA-A*01:01:01:01", "HLA-A*24:09N", "chr1:10001-207666"])
    @pytest.mark.parametrize(
        ("region", "expected"),
        [("{}", ALL), ("{}:2,001-2,131", ALL[::2]), ("{}:3050", ALL[1:2]), ("{{{}}}:2001-2131", ALL[::2])],
    )
    def test_region_on_a_contig_with_colons(
        self, on_contig: Callable[[str], list[Path]], name: str, region: str, expected: list[tuple[int, int]]
    ) -> None:
        for source in on_contig(name):
            assert places(ranked(source, regions=[region.format(name)])) == expected

    def test_name_of_a_contig_comes_before_a_part_of_a_contig(self, scored: Scored, tmp_path: Path) -> None:
        path = tmp_path / "both.vcf"
        first, *rest = scored.vcf.read_text().replace("chr1\t3050", "chr1:2001-2131\t3050").splitlines(True)
        path.write_text("".join((first, "##contig=<ID=chr1:2001-2131>\n", *rest)))
        assert places(ranked(path, regions=["chr1:2001-2131"])) == [(4, 0)]

    @pytest.mark.parametrize("region", ["chr9", "chr1:x"])
    def test_region_on_a_contig_that_the_file_does_not_have(
        self, either: Path, region: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert places(ranked(either, regions=[region])) == []
        assert f"--region {region}: the file has no such contig; its contigs: chr1" in caplog.text

    def test_region_on_a_declared_contig_without_records(
        self, scored: Scored, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "declared.vcf"
        first, *rest = scored.vcf.read_text().splitlines(True)
        path.write_text("".join((first, "##contig=<ID=chrY>\n", *rest)))
        assert places(ranked(path, regions=["chrY:5-9"])) == []
        assert caplog.text == ""

    def test_genes_have_the_scores_of_those_genes(self, either: Path) -> None:
        """Record 4 is strong in OTHER, and weak in MAIN."""
        ranking = ranked(either, genes=["main"])
        assert places(ranking) == [(0, 0), (1, 0), (4, 0)]
        assert [round(row.measure.value, 6) for row in ranking.rows] == [1.5, 0.75, 0.1875]
        assert {row.measure.gene for row in ranking.rows} == {"Main"}
        assert ranking.excluded["without a score of the genes"] == 1

    def test_scores_without_genes_of_alleles_in_those_genes(self, either: Path) -> None:
        ranking = ranked(either, "dnase", genes=["MAIN"])
        assert [row.measure.value for row in ranking.rows] == [-0.75, 0.5]
        assert ranking.rows[0].measure.parts[0].tissue == "K562"
        assert ranking.excluded["without a score of the genes"] == 1

    def test_genes_may_be_in_a_file(
        self, tmp_path: Path, scored: Scored, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "panel.txt"
        path.write_text("# a panel\nOTHER\tdisease\n\nABSENT\n")
        caplog.set_level("INFO", logger="vepscore")
        assert places(ranked(scored.vcf, genes=[str(path)])) == [(4, 0)]
        assert "no score of ABSENT" in caplog.text

    def test_a_gene_list_may_begin_with_a_byte_order_mark(
        self, tmp_path: Path, scored: Scored, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "panel.txt"
        path.write_bytes(b"\xef\xbb\xbfOTHER\r\nABSENT\r\n")
        caplog.set_level("INFO", logger="vepscore")
        assert places(ranked(scored.vcf, genes=[str(path)])) == [(4, 0)]
        assert "no score of ABSENT" in caplog.text

    @pytest.mark.parametrize(
        ("listed", "expected"),
        [
            ("RP11-34P13.7", [(0, 0), (1, 0), (4, 0)]),
            ("rp11-34p13.7", [(0, 0), (1, 0), (4, 0)]),
            ("ENSG00000182378", [(0, 0), (1, 0), (4, 0)]),
            ("ENSG00000182378.15", [(0, 0), (1, 0), (4, 0)]),
            ("ENSG00000182378.15_PAR_Y", [(0, 0), (1, 0), (4, 0)]),
            ("RP11-34P13.13", [(4, 0)]),
            ("ENSG00000238009", [(4, 0)]),
            ("ENSG00000238009.9", [(4, 0)]),
            ("RP11-34P13", []),
            ("RP11-34P13.99", []),
        ],
    )
    def test_ids_have_versions_and_names_have_dots(
        self, clones: list[Path], listed: str, expected: list[tuple[int, int]]
    ) -> None:
        for source in clones:
            assert places(ranked(source, genes=[listed])) == expected

    def test_annotation_as_gene_list(self, scored: Scored) -> None:
        with pytest.raises(UsageError, match=r"is an annotation(.|\n)*pass it with -g"):
            GeneList([str(scored.gtf)])

    def test_max_af_keeps_alleles_without_a_frequency(self, scored: Scored) -> None:
        ranking = ranked(scored.vcf, "dnase", max_af="AF=0.001")
        assert places(ranking) == [(1, 0), (2, 0)]
        assert ranking.excluded["AF above 0.001"] == 2

    def test_sample(self, scored: Scored) -> None:
        ranking = ranked(scored.vcf, sample="child")
        assert places(ranking) == [(4, 0)]
        assert [(one.record, one.alt) for one in ranking.unscored] == [(1, "<DEL>"), (3, "A")]
        assert ranking.excluded["not carried by child"] == 2
        assert ranked(scored.vcf, sample="mother").excluded["no genotype of mother"] == 1

    def test_record_without_genotypes_is_carried_by_nobody(self, scored: Scored, tmp_path: Path) -> None:
        """GT need not come first, and a record may have other fields only."""
        path = tmp_path / "mixed.vcf"
        lines = scored.vcf.read_text().replace("GT:DP\t0/1:9\t0/0:9", "DP\t9\t9", 1)
        path.write_text(
            lines.replace("GT:DP\t0/0:9\t0/0:9", "DP:GT\t9:1/1\t9:0/0").replace(
                "GT:DP\t0/0:9\t1:9", "DP:GT\t9\t9:1"
            )
        )
        assert places(ranked(path, sample="child")) == [(4, 0)]
        assert ranked(path, sample="child").excluded["no genotype of child"] == 1
        bare = tmp_path / "bare.vcf"
        bare.write_text(lines.replace("GT:DP", "ID:DP"))
        with pytest.raises(InputError, match="found no GT in the FORMAT of any record"):
            ranked(bare, sample="child")

    def test_max_af_of_a_header_with_spaces(self, scored: Scored, tmp_path: Path) -> None:
        path = tmp_path / "spaces.vcf"
        path.write_text(scored.vcf.read_text().replace("ID=AF,Number=A,", "Number=A, ID=AF, "))
        assert places(ranked(path, "dnase", max_af="AF=0.001")) == [(1, 0), (2, 0)]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"sample": "father"}, "has no sample father; it has mother, child"),
            ({"max_af": "gnomAD=0.1"}, "declares no INFO field gnomAD; it has AF, "),
        ],
    )
    def test_what_the_file_lacks(self, scored: Scored, options: dict[str, str], message: str) -> None:
        with pytest.raises(InputError, match=message):
            ranked(scored.vcf, **options)

    @pytest.mark.parametrize("options", [{"sample": "child"}, {"max_af": "AF=0.1"}], ids=str)
    def test_long_table_has_neither_info_nor_genotypes(self, scored: Scored, options: dict[str, str]) -> None:
        with pytest.raises(UsageError, match="rank the annotated VCF"):
            ranked(scored.parquet, **options)

    @pytest.mark.parametrize("text", ["AF", "=0.1", "AF=rare"])
    def test_malformed_frequency(self, text: str) -> None:
        with pytest.raises(UsageError, match="expected an INFO field and a number"):
            MaxFrequency.parse(text)


class TestTissue:
    @pytest.mark.parametrize("tissue", ["Left Liver", "uberon:l"])
    def test_by_name_or_term(self, scored: Scored, tissue: str) -> None:
        """SPLICE_SITES is of no tissue."""
        first = ranked(scored.parquet, tissue=tissue).rows[0]
        assert [part.score for part in first.measure.parts] == [0.75, 0.5, 0.75]
        assert first.measure.value == pytest.approx(0.75 + 0.5 + 0.75 / 5)
        assert places(ranked(scored.parquet, "dnase", tissue="K562")) == [(1, 0), (0, 0), (2, 0)]

    def test_nothing_of_that_name(self, scored: Scored) -> None:
        with pytest.raises(InputError, match=r"--tissue liver: no track of(.|\n)*left liver UBERON:l"):
            ranked(scored.parquet, tissue="liver")
        with pytest.raises(InputError, match=r"found 2 tissues\n  heart UBERON:h; left liver UBERON:l"):
            ranked(scored.parquet, tissue="brain")

    def test_vcf_has_no_tissues(self, scored: Scored) -> None:
        with pytest.raises(UsageError, match="rank the long table"):
            ranked(scored.vcf, tissue="heart")


class TestEvents:
    def test_in_words(self, either: Path, scored: Scored) -> None:
        rows = rows_of(ranked(either, annotation=scored.gtf))
        assert [row["event"] for row in rows[:3]] == ["exon skipping", "none", "cryptic site"]
        assert rows[0]["event_in_words"].startswith(
            "exon skipping: exon 2001-2120, 120 bp; acceptor loss -0.75"
        )
        assert rows[2]["event_in_words"].startswith("cryptic donor: exon 12 bp longer, 2001-2132")
        assert [row["event_gene"] for row in rows[:3]] == ["Main"] * 3

    def test_junctions_of_the_long_table_are_evidence(self, scored: Scored) -> None:
        first = ranked(scored.parquet, annotation=scored.gtf).rows[0]
        assert [(one.start0, one.end0, one.score) for one in first.event.junctions] == [
            (1100, 3000, 1.25),
            (1100, 2000, 0.75),
        ]
        assert ranked(scored.vcf, annotation=scored.gtf).rows[0].event.junctions == ()

    def test_annotation_of_another_version_of_the_gene(
        self, clones: list[Path], scored: Scored, tmp_path: Path
    ) -> None:
        other = tmp_path / "older.gtf"
        other.write_text(scored.gtf.read_text().replace('gene_id "MAIN"', 'gene_id "ENSG00000182378.14"'))
        for source in clones:
            assert ranked(source, annotation=other).rows[0].event is not None

    @pytest.mark.parametrize("suffix", ["vcf", "parquet"])
    @pytest.mark.parametrize("stronger", ["+", "-"])
    def test_gene_with_loci_on_two_strands(self, tmp_path: Path, suffix: str, stronger: str) -> None:
        """Each locus has events of its own; the call is about the stronger, by the exons of its own strand."""
        sizes = {"+": 0.25, "-": 0.25} | {stronger: 0.75}
        blocks = [
            events_of(GENE, acceptor_loss=(-sizes["+"], 2000), donor_gain=(0.01, 2030)),
            events_of(GENE_TWIN, donor_loss=(-sizes["-"], 2040), acceptor_loss=(-0.02, 2060)),
        ]
        allele = allele_of("C", SITES, *blocks, genes=(GENE, GENE_TWIN))
        source = write_one(tmp_path / f"scored.{suffix}", allele)
        annotation = tmp_path / "genes.gtf"
        annotation.write_text(gtf_text({"MAIN": GENES["MAIN"]}) + gtf_text({"MAIN": TWIN}))
        (row,) = ranked(source, annotation=annotation).rows
        lead = row.event.evidence[0]
        assert (lead.site, lead.pos0) == {"+": ("acceptor", 2000), "-": ("donor", 2040)}[stronger]
        assert row.event.kind == "exon skipping"
        assert tuple(row.event.region) == {"+": (2000, 2120), "-": (2040, 2060)}[stronger]

    def test_rows_of_a_table_that_others_have_filtered(self, tmp_path: Path) -> None:
        """Without the rows of what has no site, the others still say which site they are about."""
        block = events_of(GENE, donor_loss=(-0.75, 2120))
        source = write_one(tmp_path / "scored.parquet", allele_of("C", SITES, block))
        table = pq.read_table(source)
        is_kept = pc.or_(
            pc.not_equal(table["variant_scorer"], "SPLICE_EVENTS"), pc.is_valid(table["site_pos"])
        )
        pq.write_table(table.filter(is_kept), tmp_path / "filtered.parquet")
        annotation = tmp_path / "genes.gtf"
        annotation.write_text(gtf_text({"MAIN": GENES["MAIN"]}))
        (whole,), (filtered,) = (
            ranked(tmp_path / name, annotation=annotation).rows
            for name in ("scored.parquet", "filtered.parquet")
        )
        assert filtered.event == whole.event
        assert whole.event.evidence[0].site == "donor"

    def test_annotation_of_other_genes(
        self, scored: Scored, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        other = tmp_path / "other.gtf"
        other.write_text(scored.gtf.read_text().replace("MAIN", "ELSE"))
        assert ranked(scored.vcf, annotation=other).rows[0].event is None
        assert "the annotation has no exons of MAIN" in caplog.text


class TestFiles:
    def test_quantiles_are_shown(self, tmp_path: Path) -> None:
        path = tmp_path / "ranked.vcf"
        path.write_text(vcf_text({(0, 0): 0.99, (1, 0): 0.5}))
        assert [row["quantile"] for row in rows_of(ranked(path))[:3]] == ["0.99", "", "0.5"]

    def test_alleles_that_lie_in_two_row_groups(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scored: Scored
    ) -> None:
        for rows in (1, 3, 7):
            monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", rows)
            again = write_scored(tmp_path)
            assert list(tsv_lines(ranked(again.parquet))) == list(tsv_lines(ranked(scored.parquet)))

    def test_vcf_that_was_not_scored(self, tmp_path: Path) -> None:
        path = tmp_path / "bare.vcf"
        path.write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n")
        with pytest.raises(InputError, match="declares no VS_STATUS, expected an output of `vepscore score`"):
            ranked(path)

    def test_value_that_is_no_number(self, tmp_path: Path, scored: Scored) -> None:
        path = tmp_path / "odd.vcf"
        path.write_text(scored.vcf.read_text().replace("VS_SPLICE=1.5", "VS_SPLICE=high", 1))
        with pytest.raises(InputError, match=r"odd.vcf record 0, chr1:2001 A\n  VS_SPLICE is 'high'"):
            ranked(path)

    def test_other_parquet(self, tmp_path: Path, scored: Scored) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table({"record": [1]}), tmp_path / "other.parquet")
        with pytest.raises(InputError, match=r"has no column alt_index, .*site_pos"):
            ranked(tmp_path / "other.parquet")
        (tmp_path / "cut.parquet").write_bytes(scored.parquet.read_bytes()[:200])
        with pytest.raises(InputError, match="cannot be read as Parquet"):
            ranked(tmp_path / "cut.parquet")


class TestCommand:
    def test_file_pipe_and_standard_input_say_the_same(self, scored: Scored, tmp_path: Path) -> None:
        path = tmp_path / "out.tsv.gz"
        done = vepscore("rank", str(scored.vcf), "-g", str(scored.gtf), "-o", str(path))
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert done.stderr.splitlines()[-4:] == [
            "3 of 7 alternate alleles are ranked",
            "1 excluded: no VS_SPLICE",
            "1 excluded: record without an ALT",
            "2 not scored, listed at the end",
        ]
        piped = vepscore("rank", "-", "-g", str(scored.gtf), "-q", stdin=scored.vcf.read_text())
        assert (piped.returncode, piped.stderr) == (0, "")
        assert gzip.decompress(path.read_bytes()).decode() == piped.stdout
        assert piped.stdout.split("\n")[-2].startswith("\tchr2\t100\trs3\tC\tA\tREF_MISMATCH\t")

    def test_output_is_no_vcf(self, scored: Scored) -> None:
        done = vepscore("rank", str(scored.vcf), "-o", str(scored.vcf))
        assert done.returncode == 2 and "expected a name that ends in .tsv" in done.stderr

    def test_terminal_gets_a_table(self, scored: Scored) -> None:
        master, slave = pty.openpty()
        command = [sys.executable, "-c", MAIN, "rank", str(scored.vcf), "-q"]
        environment = os.environ | {"COLUMNS": "120", "TERM": "dumb"}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=slave, stdin=subprocess.DEVNULL):
            os.close(slave)
            shown = read_until(master, None).decode()
        os.close(master)
        lines = [line.split() for line in shown.splitlines() if line.strip()]
        assert lines[0] == ["rank", "variant", "VS_SPLICE", "gene", "track"]
        assert ["1", "chr1:2001", "A>C", "1.5", "Main", "acceptor"] in lines
        assert lines[-1] == ["chr2:100", "C>A", "REF_MISMATCH"]
