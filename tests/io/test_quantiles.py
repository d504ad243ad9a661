"""Backgrounds of known scores: their quantiles, what is kept of them, and where other scores stand among them."""

import dataclasses
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.io.samples import COLUMNS, CONTIGS, META, MYGENE, PROVENANCE, block_of, scored, tracks_of
from vepscore.errors import CheckpointError, InputError, PluginError
from vepscore.genome.alleles import AlleleKind, Status
from vepscore.io import quantile_writer as background
from vepscore.io.allele_table import AlleleTableWriter
from vepscore.io.fields import QUANTILE_FIELDS, VALUE_FIELDS
from vepscore.io.header import VcfHeader
from vepscore.io.info import find_existing, format_info, strip_info
from vepscore.io.long_table import LongTableWriter
from vepscore.io.quantile_writer import BackgroundWriter, quantiles_of
from vepscore.io.quantiles import GRID, Backgrounds, Quantiles, read_quantiles
from vepscore.io.records import Record
from vepscore.io.results import AlleleResult, RecordResult
from vepscore.outputs import Output

TRACKS = {output: tracks_of(output, 2) for output in (Output.ATAC, Output.RNA_SEQ)}
SIGNED = {"RNA_SEQ", "VS_RNA"}
OTHER_GENE = dataclasses.replace(MYGENE, gene_id="ENSG2", strand="-")
SUBSTITUTION, INDEL = AlleleKind
FLOATS = st.floats(-1e6, 1e6, width=32)


def result(index: int, *alleles: AlleleResult) -> RecordResult:
    alts = tuple(allele.alt for allele in alleles)
    record = Record(index=index, chrom="1", pos1=100, id=".", ref="A", alts=alts, line=b"1\t100\t.\tA\tC")
    return RecordResult(record=record, alleles=alleles)


def one_result(
    index: int, atac: Sequence[float], rna: Sequence[Sequence[float]], alt: str = "C"
) -> RecordResult:
    """An allele whose fields are the largest scores, and a symbolic one."""
    genes = (MYGENE, OTHER_GENE)[: len(rna)]
    matrices = (block_of(Output.ATAC, [list(atac)]), block_of(Output.RNA_SEQ, [*map(list, rna)], genes=genes))
    fields = {"VS_ATAC": max(atac), "VS_RNA": max(np.ravel(rna), key=abs), "VS_RNA_GENE": "MYGENE"}
    allele = dataclasses.replace(scored(alt, **fields), matrices=matrices)
    return result(index, allele, AlleleResult(alt="<DEL>", status=Status.SYMBOLIC))


def draw_results(count: int, alt: str = "C", seed: int = 5) -> list[RecordResult]:
    """With the scores of two genes each; the second gene has none in the second track."""
    rng = np.random.default_rng(seed)
    atac, rna = rng.gamma(2, size=(count, 2)), rng.standard_normal((count, 2, 2))
    rna[:, 1, 1] = 0.25
    results = [one_result(i, atac[i], rna[i], alt) for i in range(count)]
    for each in results:
        each.alleles[0].matrices[1].values[1, 1] = np.nan
    return results


def write(path: Path, results: Sequence[RecordResult]) -> Path:
    with BackgroundWriter(path, TRACKS, SIGNED, PROVENANCE) as writer:
        for each in results:
            writer.write(each)
    return path


@pytest.fixture(scope="module")
def results() -> list[RecordResult]:
    return draw_results(1001)


@pytest.fixture(scope="module")
def indels() -> list[RecordResult]:
    """Fewer, with scores ten times as large."""
    drawn = draw_results(3, alt="CA", seed=6)
    for each in drawn:
        allele = each.alleles[0]
        allele.fields.update(VS_ATAC=10 * allele.fields["VS_ATAC"], VS_RNA=10 * allele.fields["VS_RNA"])
        for matrix in allele.matrices:
            matrix.values[:] *= 10
    return drawn


@pytest.fixture(scope="module")
def path(
    tmp_path_factory: pytest.TempPathFactory, results: list[RecordResult], indels: list[RecordResult]
) -> Path:
    return write(tmp_path_factory.mktemp("quantiles") / "quantiles.parquet", [*results, *indels])


@pytest.fixture(scope="module")
def quantiles(path: Path) -> Quantiles:
    return read_quantiles(path)


def background_of(scores: Sequence[float], *, is_signed: bool = False) -> Backgrounds:
    values, _ = quantiles_of(np.array(scores, np.float32)[:, None])
    return Backgrounds(grid=GRID, values=values, is_signed=np.array([is_signed]))


def rank(known: Backgrounds, *scores: float) -> list[float]:
    return known.rank(np.array(scores, np.float32)[:, None])[:, 0].tolist()


class TestGrid:
    def test_it_is_symmetric_and_denser_at_the_ends(self) -> None:
        assert (np.diff(GRID) > 0).all()
        np.testing.assert_allclose(GRID, 1 - GRID[::-1], rtol=0, atol=1e-12)
        assert (GRID[0], GRID[len(GRID) // 2], GRID[-1]) == (1e-5, 0.5, 0.99999)
        assert np.diff(GRID)[-1] < 1e-4 < 1e-3 < np.diff(GRID)[len(GRID) // 2]

    def test_quantiles_are_those_of_numpy(self) -> None:
        scores = np.random.default_rng(1).standard_normal((100_000, 2)).astype(np.float32)
        found, counts = quantiles_of(scores)
        expected = np.quantile(scores.astype(np.float64), GRID, axis=0, method="hazen")
        np.testing.assert_allclose(found, expected.T, rtol=1e-6, atol=1e-7)
        assert counts.tolist() == [100_000, 100_000]

    def test_tracks_a_few_at_a_time_make_no_difference(self, monkeypatch: pytest.MonkeyPatch) -> None:
        scores = np.random.default_rng(1).standard_normal((50, 7)).astype(np.float32)
        expected = quantiles_of(scores)
        monkeypatch.setattr(background, "_HELD_SCORES", 100)
        for found, whole in zip(quantiles_of(scores), expected, strict=True):
            np.testing.assert_array_equal(found, whole)


class TestRank:
    @pytest.mark.parametrize(("is_signed", "expected"), [(False, 0.5), (True, 0.0)])
    @pytest.mark.parametrize("count", [1, 2, 7, 1000, 1001])
    def test_median_of_the_background_is_the_middle(
        self, is_signed: bool, expected: float, count: int
    ) -> None:
        scores = np.random.default_rng(count).standard_normal(count).astype(np.float32)
        assert rank(background_of(scores, is_signed=is_signed), np.median(scores)) == [expected]

    def test_scores_of_the_background_have_their_ranks(self) -> None:
        scores = np.sort(np.random.default_rng(2).standard_normal(999))
        expected = (np.arange(999) + 0.5) / 999
        np.testing.assert_allclose(
            rank(background_of(scores), *scores), expected, atol=0.01
        )  # a step of the grid

    @given(st.lists(FLOATS, min_size=1, max_size=60), st.lists(FLOATS, min_size=2), st.booleans())
    def test_larger_scores_never_rank_lower(
        self, scores: list[float], others: list[float], is_signed: bool
    ) -> None:
        known = background_of(scores, is_signed=is_signed)
        found = rank(known, *sorted([*scores, *others]))
        assert (np.diff(found) >= 0).all()
        half = 0.5 / len(scores)
        lowest, highest = (2 * half - 1, 1 - 2 * half) if is_signed else (half, 1 - half)
        assert lowest - 1e-6 <= found[0] and found[-1] <= highest + 1e-6

    def test_signed_and_unsigned_say_the_same_on_other_scales(self) -> None:
        scores = np.random.default_rng(3).standard_normal(500)
        plain, signed = (background_of(scores, is_signed=is_signed) for is_signed in (False, True))
        np.testing.assert_allclose(
            rank(signed, -3, -0.1, 0, 2), 2 * np.array(rank(plain, -3, -0.1, 0, 2)) - 1, atol=1e-6
        )

    def test_between_two_points_it_is_linear(self) -> None:
        known = background_of(np.arange(1000) / 1000)  # the score of probability p is p - 0.0005
        np.testing.assert_allclose(
            rank(known, 0.4995, 0.5035, 0.5095), np.array([0.5, 0.504, 0.51]), atol=1e-6
        )

    def test_scores_outside_have_the_last_probability(self) -> None:
        few, many = background_of(np.arange(10)), background_of(np.arange(200_000))
        np.testing.assert_allclose(rank(few, -1, -1e30, 10, 1e30), [0.05, 0.05, 0.95, 0.95], atol=1e-7)
        np.testing.assert_allclose(rank(many, -1, 3e5), [1e-5, 0.99999], atol=1e-7)
        np.testing.assert_allclose(rank(background_of([0] * 100), -1, 0, 1), [0.005, 0.5, 0.995], atol=1e-7)

    def test_a_score_that_many_share_has_the_middle_of_theirs(self) -> None:
        known = background_of(
            [*np.linspace(-2, -1, 300), *[0.0] * 400, *np.linspace(1, 2, 300)], is_signed=True
        )
        below, shared, above = rank(known, -0.001, 0, 0.001)
        assert shared == pytest.approx(0, abs=1e-6)
        assert below == pytest.approx(-0.4, abs=0.02) and above == pytest.approx(0.4, abs=0.02)

    def test_nothing_ranks_nothing(self) -> None:
        known = background_of([1, 2, 3])
        assert np.isnan(rank(known, np.nan)).all()
        assert np.isnan(rank(background_of([]), 1, -1, np.nan)).all()
        assert np.isnan(rank(background_of([np.nan, np.nan]), 1)).all()


class TestTable:
    def test_it_has_a_row_for_each_kind_and_its_tracks_and_fields(self, path: Path) -> None:
        both = pd.read_parquet(path)
        assert both["kind"].tolist() == [*["substitution"] * 17, *["indel"] * 17]
        indels = both[both["kind"] == "indel"]
        assert indels["scores"].tolist()[:4] == [3, 3, 6, 3]
        table = both[both["kind"] == "substitution"]
        of_scorers, of_fields = table[table["scorer"].notna()], table[table["field"].notna()]
        assert of_scorers[
            ["scorer", "output_type", "track_index", "track_name", "is_signed", "scores"]
        ].values.tolist() == [
            ["ATAC", "ATAC", 0, "ATAC 0", False, 1001],
            ["ATAC", "ATAC", 1, "ATAC 1", False, 1001],
            ["RNA_SEQ", "RNA_SEQ", 0, "RNA_SEQ 0", True, 2002],  # of both genes
            ["RNA_SEQ", "RNA_SEQ", 1, "RNA_SEQ 1", True, 1001],  # NaN is no score
        ]
        assert of_fields["field"].tolist() == list(QUANTILE_FIELDS)
        assert of_fields.loc[of_fields["is_signed"], "field"].tolist() == ["VS_RNA"]
        assert dict(zip(of_fields["field"], of_fields["scores"], strict=True)) == {
            **dict.fromkeys(QUANTILE_FIELDS, 0),
            "VS_ATAC": 1001,
            "VS_RNA": 1001,
        }

    def test_what_was_written_is_read(
        self, quantiles: Quantiles, path: Path, results: list[RecordResult]
    ) -> None:
        counts = {"vepscoreSubstitutions": "1001", "vepscoreIndels": "3"}
        assert quantiles.header.items() >= {**PROVENANCE, **counts}.items()
        assert quantiles.alleles == "1001 substitutions, 3 indels"
        assert quantiles.scorers == {"ATAC", "RNA_SEQ"}
        atac = np.concatenate([each.alleles[0].matrices[0].values for each in results])
        known = quantiles.kinds[SUBSTITUTION].scorers["ATAC"]
        np.testing.assert_array_equal(known.values, quantiles_of(atac)[0])
        np.testing.assert_array_equal(known.grid, GRID)
        assert quantiles.name == path.name

    def test_bytes_do_not_hang_on_the_order(
        self, path: Path, results: list[RecordResult], indels: list[RecordResult], tmp_path: Path
    ) -> None:
        everything = [*results, *indels]
        shuffled = random.Random(0).sample(everything, len(everything))
        reversed_blocks = [
            result(
                each.record.index,
                *(dataclasses.replace(a, matrices=tuple(reversed(a.matrices))) for a in each.alleles),
            )
            for each in shuffled
        ]
        assert write(tmp_path / path.name, reversed_blocks).read_bytes() == path.read_bytes()
        assert os.listdir(tmp_path) == [path.name]

    def test_few_scores_of_a_kind_are_warned_of(
        self,
        results: list[RecordResult],
        indels: list[RecordResult],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        write(tmp_path / "quantiles.parquet", [*results, *indels])
        few = "indels: 6 of 17 backgrounds have fewer than 1000 scores, so their quantiles do not reach the ends"
        assert caplog.messages == [few]

    def test_kind_without_alleles_is_warned_of(
        self, indels: list[RecordResult], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        known = read_quantiles(write(tmp_path / "quantiles.parquet", indels))
        assert caplog.messages[0] == "the background has no substitutions: they get no quantiles"
        assert known.kinds.keys() == {INDEL}

    def test_no_scored_allele_is_an_error_that_leaves_nothing(self, tmp_path: Path) -> None:
        unscored = result(0, AlleleResult(alt="C", status=Status.REF_MISMATCH))
        with pytest.raises(InputError, match="no allele of the input was scored"):
            write(tmp_path / "quantiles.parquet", [unscored])
        assert os.listdir(tmp_path) == []

    def test_failure_leaves_nothing(
        self, tmp_path: Path, results: list[RecordResult], indels: list[RecordResult]
    ) -> None:
        writer = BackgroundWriter(tmp_path / "quantiles.parquet", TRACKS, SIGNED, PROVENANCE)
        with pytest.raises(KeyError), writer:
            writer.write(results[0])
            writer.write(indels[0])
            assert len(os.listdir(tmp_path)) == 1  # the table: the files of the scores have no name
            raise KeyError
        assert os.listdir(tmp_path) == []

    def test_scores_that_do_not_fit_the_tracks_are_refused(self, tmp_path: Path) -> None:
        wrong = dataclasses.replace(scored("C"), matrices=(block_of(Output.ATAC, [[1, 2, 3]]),))
        with pytest.raises(PluginError, match=r"scorer ATAC\n.*\(1, 3\), expected 2 columns"):
            write(tmp_path / "quantiles.parquet", [result(0, wrong)])


class TestDamage:
    def test_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match=r"nowhere\.parquet\n.*No such file"):
            read_quantiles(tmp_path / "nowhere.parquet")

    @pytest.mark.parametrize("keep", [0, 4, 500, -1])
    def test_cut_file_is_refused(self, path: Path, tmp_path: Path, keep: int) -> None:
        (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[:keep])
        with pytest.raises(CheckpointError, match="is no table of quantiles"):
            read_quantiles(tmp_path / "cut.parquet")

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            (lambda frame: frame.drop(columns="is_signed"), "is_signed"),
            (lambda frame: frame.drop(index=1), None),
            (lambda frame: frame.drop(index=0), "the tracks of ATAC are not numbered from 0"),
            (
                lambda frame: frame.assign(quantiles=[row[::-1] for row in frame["quantiles"]]),
                "do not ascend",
            ),
            (lambda frame: frame.assign(quantiles=[row[1:] for row in frame["quantiles"]]), "not one score"),
            (lambda frame: frame.assign(kind="snv"), "snv is no kind of alleles"),
        ],
        ids=["no column", "fewer tracks", "no first track", "descending", "shorter", "unknown kind"],
    )
    def test_table_that_does_not_fit_is_refused(
        self, path: Path, tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame], said: str | None
    ) -> None:
        table = pq.read_table(path)
        changed = table.schema.empty_table().from_pandas(change(table.to_pandas()), preserve_index=False)
        changed = changed.replace_schema_metadata(table.schema.metadata)
        pq.write_table(changed, tmp_path / "changed.parquet")
        if said is not None:
            with pytest.raises(CheckpointError, match=said):
                read_quantiles(tmp_path / "changed.parquet")
            return
        with pytest.raises(CheckpointError, match="has 1 tracks of ATAC, expected 2"):
            read_quantiles(tmp_path / "changed.parquet").rank_scores(
                SUBSTITUTION, "ATAC", np.zeros((1, 2), np.float32)
            )

    def test_table_without_its_grid_is_refused(self, path: Path, tmp_path: Path) -> None:
        pq.write_table(pq.read_table(path).replace_schema_metadata({}), tmp_path / "bare.parquet")
        with pytest.raises(CheckpointError, match="vepscoreGrid is not ascending probabilities"):
            read_quantiles(tmp_path / "bare.parquet")


class TestOutputs:
    def test_fields_are_ranked_within_their_own_background(
        self, quantiles: Quantiles, results: list[RecordResult]
    ) -> None:
        largest = max(results, key=lambda each: each.alleles[0].fields["VS_ATAC"])
        lowest = min(results, key=lambda each: each.alleles[0].fields["VS_RNA"])
        ranked = quantiles.rank_fields(largest).alleles[0].fields
        assert ranked["VS_ATAC_Q"] == pytest.approx(0.9995, abs=1e-6)  # as far as 1001 scores tell
        assert quantiles.rank_fields(lowest).alleles[0].fields["VS_RNA_Q"] == pytest.approx(-0.999, abs=1e-6)
        assert ranked.keys() == {"VS_ATAC", "VS_RNA", "VS_RNA_GENE", "VS_ATAC_Q", "VS_RNA_Q"}
        assert quantiles.rank_fields(largest).alleles[1] is largest.alleles[1]

    def test_alleles_are_ranked_among_those_of_their_kind(
        self, quantiles: Quantiles, results: list[RecordResult], indels: list[RecordResult]
    ) -> None:
        """The largest substitution is near the middle of the indels, whose scores are larger."""
        largest = max(results, key=lambda each: each.alleles[0].fields["VS_ATAC"])
        as_indel = dataclasses.replace(largest.alleles[0], alt="CAA")
        record = dataclasses.replace(largest.record, alts=("C", "CAA"))
        both = RecordResult(record=record, alleles=(largest.alleles[0], as_indel))
        ranks = [allele.fields["VS_ATAC_Q"] for allele in quantiles.rank_fields(both).alleles]
        values = [each.alleles[0].fields["VS_ATAC"] for each in indels]
        expected = rank(background_of(values), largest.alleles[0].fields["VS_ATAC"])[0]
        assert ranks == pytest.approx([0.9995, expected], abs=1e-6)
        assert expected < 0.9

    def test_kind_that_the_background_lacks_has_no_quantiles(
        self, quantiles: Quantiles, results: list[RecordResult], indels: list[RecordResult]
    ) -> None:
        known = quantiles.without_kind(INDEL)
        assert known.rank_fields(indels[0]) == indels[0]
        assert known.rank_fields(results[0]) == quantiles.rank_fields(results[0])
        scores = indels[0].alleles[0].matrices[0].values
        assert np.isnan(known.rank_scores(INDEL, "ATAC", scores)).all()
        assert not np.isnan(known.rank_scores(SUBSTITUTION, "ATAC", scores)).any()

    def test_file_of_an_earlier_version_ranks_all_alleles_together(
        self, path: Path, results: list[RecordResult], indels: list[RecordResult], tmp_path: Path
    ) -> None:
        table = pq.read_table(path)
        earlier = table.filter(pc.field("kind") == "substitution").drop_columns("kind")
        facts = {
            **PROVENANCE,
            "vepscoreAlleles": "1001",
            "vepscoreGrid": table.schema.metadata[b"vepscoreGrid"],
        }
        pq.write_table(earlier.replace_schema_metadata(facts), tmp_path / "earlier.parquet")
        known = read_quantiles(tmp_path / "earlier.parquet")
        assert known.alleles == "1001 alleles of all kinds"
        assert known.rank_fields(results[0]) == read_quantiles(path).rank_fields(results[0])
        expected = known.kinds[SUBSTITUTION].rank_values(indels[0].alleles[0].fields)
        assert known.rank_fields(indels[0]).alleles[0].fields.items() >= expected.items() != set()

    def test_what_has_no_fields_is_passed_on_as_it_is(self, quantiles: Quantiles) -> None:
        unscored = result(0, AlleleResult(alt="C", status=Status.REF_MISMATCH))
        assert quantiles.rank_fields(unscored) is unscored

    def test_info_has_them_after_the_other_fields(
        self, quantiles: Quantiles, results: list[RecordResult]
    ) -> None:
        ranked = quantiles.rank_fields(results[0])
        info = format_info(ranked.alleles, ranked=True)
        keys = [pair.partition(b"=")[0].decode() for pair in info.split(b";")]
        fields = [*VALUE_FIELDS, *QUANTILE_FIELDS.values()]
        assert keys == ["VS_STATUS", *(field.id for field in fields), "VS"]
        assert f"VS_RNA_Q={ranked.alleles[0].fields['VS_RNA_Q']:.6g},.;".encode() in info
        unscored = [AlleleResult(alt="*", status=Status.SYMBOLIC)]
        assert format_info(unscored, ranked=True).decode().split(";") == [
            "VS_STATUS=SYMBOLIC",
            *(f"{field.id}=." for field in fields),
        ]

    def test_they_can_be_taken_out_again(self) -> None:
        info = b"A=1;VS_RNA=2;VS_RNA_Q=0.5;VS_OTHER_Q=1"
        assert find_existing(info) == ["VS_RNA", "VS_RNA_Q"]
        assert strip_info(info) == b"A=1;VS_OTHER_Q=1"

    def test_header_declares_them_only_where_they_are(self) -> None:
        header = VcfHeader(meta=META, columns=COLUMNS)
        bare, ranked = (
            header.with_annotation(provenance=PROVENANCE, contigs=CONTIGS, ranked=ranked)
            for ranked in (False, True)
        )
        new = [line for line in ranked.meta if line not in bare.meta]
        assert new == [field.header_line for field in QUANTILE_FIELDS.values()]
        assert len(new) == 13 and all(",Number=A,Type=Float," in line for line in new)
        again = ranked.with_annotation(provenance=PROVENANCE, contigs=CONTIGS, overwrite=True)
        assert again.meta == bare.meta

    def test_long_table_has_them_and_null_where_there_is_none(
        self, quantiles: Quantiles, results: list[RecordResult], tmp_path: Path
    ) -> None:
        other = dataclasses.replace(block_of(Output.ATAC, [[1, 2]]), scorer="ATAC_ACTIVE")
        first, symbolic = results[0].alleles
        alleles = dataclasses.replace(first, matrices=(*first.matrices, other)), symbolic
        with LongTableWriter(tmp_path / "out.parquet", TRACKS, PROVENANCE, quantiles) as writer:
            writer.write(result(0, *alleles))
        table = pd.read_parquet(tmp_path / "out.parquet")
        atac, rna = (
            quantiles.rank_scores(SUBSTITUTION, matrix.scorer, matrix.values) for matrix in first.matrices
        )
        found = {
            scorer: rows["quantile_score"] for scorer, rows in table.groupby("variant_scorer", observed=True)
        }
        np.testing.assert_array_equal(found["ATAC"], atac.ravel())
        np.testing.assert_array_equal(found["RNA_SEQ"], rna.ravel()[:3])  # the fourth score is NaN
        assert found["ATAC_ACTIVE"].isna().all() and len(found["ATAC_ACTIVE"]) == 2
        nulls = pq.read_table(tmp_path / "out.parquet")["quantile_score"].null_count
        assert nulls == 2

    @pytest.mark.parametrize("suffix", [".tsv", ".parquet"])
    def test_table_by_allele_has_them_last(
        self, quantiles: Quantiles, results: list[RecordResult], tmp_path: Path, suffix: str
    ) -> None:
        path = tmp_path / f"out{suffix}"
        ranked = quantiles.rank_fields(results[0])
        with AlleleTableWriter(path, PROVENANCE, ranked=True) as writer:
            writer.write(ranked)
        table = pd.read_parquet(path) if suffix == ".parquet" else pd.read_csv(path, sep="\t", comment="#")
        assert list(table)[-13:] == [field.id for field in QUANTILE_FIELDS.values()]
        assert table["VS_RNA_Q"][0] == pytest.approx(ranked.alleles[0].fields["VS_RNA_Q"], rel=1e-5)
        assert table["VS_RNA_Q"].isna().tolist() == [False, True]
