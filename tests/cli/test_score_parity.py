"""The official scores come out of the command line: every scorer and every kind of variant, number for number."""

import dataclasses
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest

from tests.builders import write_vcf
from tests.cli.score_parity import KEY, compare, format_summary, read_official, read_scored, summarize
from tests.cli.scoring import SCRIPT, caches
from tests.paths import need

METADATA = "parity/OutputMetadataResponse_ORGANISM_{}.textproto.gz"
FEW_VARIANTS = ("del_over_donor", "snv_overlapping_genes", "snv_chrom_start")
COMPOSITE = {"SPLICE_SITES": 1.0, "SPLICE_SITE_USAGE": 1.0, "SPLICE_JUNCTIONS": 0.2}
SCORER_OF_FIELD = {
    "VS_SS": "SPLICE_SITES",
    "VS_SSU": "SPLICE_SITE_USAGE",
    "VS_SJ": "SPLICE_JUNCTIONS",
    "VS_RNA": "RNA_SEQ",
    "VS_ATAC": "ATAC",
    "VS_DNASE": "DNASE",
    "VS_CHIP_TF": "CHIP_TF",
    "VS_CHIP_HISTONE": "CHIP_HISTONE",
    "VS_CAGE": "CAGE",
    "VS_PROCAP": "PROCAP",
    "VS_CONTACT": "CONTACT_MAPS",
    "VS_POLYA": "POLYADENYLATION",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullSize:
    """The official network's size, with deterministic parameters: as the official code writes it, and imported."""

    official: Path
    imported: Path
    environment: Mapping[str, str]

    def score(
        self, folder: Path, variants: pd.DataFrame, *checkpoint: str | Path, engine: str = "sparse"
    ) -> Path:
        """Run the command; `folder` gets out.parquet and out.vcf."""
        vcf = write_vcf(folder / "in.vcf", *variants[["chrom", "pos", "variant", "ref", "alt"]].to_numpy(str))
        data = {
            "-r": need("data/hg38_native.fa.gz"),
            "-g": need("data/gencode_v48.chr16_0.95-1.61M.gtf.gz"),
            "--polya": need("parity/polya.tsv"),
        }
        outputs = ["-o", folder / "out.parquet", "-o", folder / "out.vcf"]
        numerics = ["--window", "16kb", "--precision", "float32", "--rotary", "float32"]
        options = [*sum(data.items(), ()), *numerics, "--official", "--engine", engine, *outputs]
        run([SCRIPT, "score", vcf, *options, "-c", *checkpoint], self.environment)
        return folder


@pytest.fixture(scope="module")
def variants() -> pd.DataFrame:
    return pd.read_csv(need("parity/scores_seed0_16k_fp32_human.tsv"), sep="\t")


@pytest.fixture(scope="module")
def full_size(official_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullSize]:
    folder = tmp_path_factory.mktemp("full_size")
    checkpoints = FullSize(
        official=official_folder, imported=folder / "imported", environment=caches(folder / "caches")
    )
    metadata = ["--metadata", human_metadata(), "--metadata", need(METADATA.format("MUS_MUSCULUS"))]
    run([SCRIPT, "weights", "import", official_folder, *metadata, "-o", checkpoints.imported])
    yield checkpoints
    shutil.rmtree(folder)  # some 2 GB


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, full_size: FullSize, variants: pd.DataFrame) -> Path:
    """The folder of a run over all variants."""
    return full_size.score(tmp_path_factory.mktemp("scored"), variants, full_size.imported)


@pytest.fixture(scope="module")
def densely_scored(
    tmp_path_factory: pytest.TempPathFactory, full_size: FullSize, variants: pd.DataFrame
) -> Path:
    """Return the folder of a run of the dense engine over all variants."""
    folder = tmp_path_factory.mktemp("densely_scored")
    return full_size.score(folder, variants, full_size.imported, engine="dense")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("run_of", ["scored", "densely_scored"])
def test_every_official_row_is_reproduced(
    run_of: str, request: pytest.FixtureRequest, variants: pd.DataFrame
) -> None:
    scored: Path = request.getfixturevalue(run_of)
    official = read_official(need("parity/scores_seed0_16k_fp32_human.parquet"))
    summary = summarize(compare(official, read_scored(scored / "out.parquet", variants)))
    print(format_summary(summary))
    assert (len(summary), official["variant"].nunique()) == (19, len(variants))
    assert summary[["missing", "extra", "outside"]].to_numpy().sum() == 0


@pytest.mark.slow
@pytest.mark.alone
def test_info_fields_are_the_largest_scores(scored: Path) -> None:
    from cyvcf2 import VCF

    columns = ["record", "variant_scorer", "gene_name", "raw_score"]
    table = pd.read_parquet(scored / "out.parquet", columns=columns)
    table = table.astype({"variant_scorer": object, "gene_name": object})
    with VCF(str(scored / "out.vcf")) as records:
        for index, record in enumerate(records):
            found = {field: value for field, value in record.INFO if field.startswith("VS_")}
            found = {field: value for field, value in found.items() if value not in (None, ".")}
            assert found.pop("VS_STATUS") == "OK"
            assert found == expected_fields(table[table["record"] == index]), record.ID


@pytest.mark.slow
@pytest.mark.alone
def test_official_directory_gives_the_rows_of_the_imported_one(
    tmp_path: Path, full_size: FullSize, scored: Path, variants: pd.DataFrame
) -> None:
    few = variants[variants["variant"].isin(FEW_VARIANTS)]
    full_size.score(tmp_path, few, full_size.official, "--metadata", human_metadata())
    direct, imported = (pd.read_parquet(folder / "out.parquet") for folder in (tmp_path, scored))
    imported = imported[imported["record"].isin(few.index)].reset_index(drop=True)
    direct["record"] = few.index[direct["record"]]
    texts = dict.fromkeys(direct.select_dtypes("category"), object)  # the categories are those of each file
    pd.testing.assert_frame_equal(direct.astype(texts), imported.astype(texts), check_exact=True)


@pytest.mark.parametrize(
    "scorer, official, within, outside",
    [
        ("ATAC", 0.1, 0.1 + 1.9e-4, 0.1 - 2.1e-4),
        ("RNA_SEQ_ACTIVE", 100.0, 100.09, 99.89),
        ("SPLICE_JUNCTIONS", 0.1250, 0.1252, 0.1254),  # steps of 2^-13
        ("SPLICE_JUNCTIONS", 0.0010, 0.00101, 0.00102),
        ("SPLICE_SITE_USAGE", 0.1, 0.1009, 0.1011),  # steps of 2^-11
    ],
)
def test_tolerance_of_a_score(scorer: str, official: float, within: float, outside: float) -> None:
    expected = table(("snv", scorer, "GENE", -1, -1, 0, official))
    for score, count in ((within, 0), (outside, 1)):
        summary = summarize(compare(expected, table(("snv", scorer, "GENE", -1, -1, 0, score))))
        assert summary["outside"].tolist() == [count]


def test_rows_of_one_table_are_missing_or_extra() -> None:
    official = table(("snv", "ATAC", "", -1, -1, 0, 0.5), ("snv", "ATAC", "", -1, -1, 1, 0.5))
    scored = table(("snv", "ATAC", "", -1, -1, 1, 0.5), ("snv", "CAGE", "", -1, -1, 1, 0.5))
    summary = summarize(compare(official, scored))
    assert summary[["rows", "missing", "extra"]].to_numpy().tolist() == [[2, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    "scores, tied",
    [
        ((0.10006, 0.1), True),  # a step is 2^-14
        ((0.10009, 0.1), False),
        ((0.0, 0.1), False),  # the largest of no track
    ],
)
def test_junctions_may_change_places_in_a_tie(scores: tuple[float, float], tied: bool) -> None:
    """Of track 0 junction 2 to 5 is the largest officially, and 2 to 7 here; of track 1 it is 2 to 9 in both."""
    shared = junction(9, 0.0, 0.2)
    summary = summarize(
        compare(table(*shared, *junction(5, 0.1, 0.1)), table(*shared, *junction(7, *scores)))
    )
    assert summary[["rows", "tied"]].to_numpy().tolist() == [[4, 4 * tied]]
    assert summary[["missing", "extra"]].to_numpy().tolist() == [[2 * (not tied)] * 2]


def junction(end: int, *scores: float) -> list[tuple]:
    return [("snv", "SPLICE_JUNCTIONS", "GENE", 2, end, track, score) for track, score in enumerate(scores)]


def table(*rows: tuple[str | float, ...]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[*KEY, "score"])


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(
        list(map(str, command)),
        env=os.environ | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def human_metadata() -> Path:
    return need(METADATA.format("HOMO_SAPIENS"))


def expected_fields(table: pd.DataFrame) -> dict[str, object]:
    """The INFO fields of one allele, from its rows of the long table."""
    by_scorer = table.groupby("variant_scorer")
    largest = {scorer: rows.loc[rows["raw_score"].abs().idxmax()] for scorer, rows in by_scorer}
    fields = {
        field: pytest.approx(largest[scorer]["raw_score"], rel=1e-5)
        for field, scorer in SCORER_OF_FIELD.items()
        if scorer in largest
    }
    if "RNA_SEQ" in largest:
        fields["VS_RNA_GENE"] = largest["RNA_SEQ"]["gene_name"]
    parts = {scorer: weight for scorer, weight in COMPOSITE.items() if scorer in largest}
    if parts:
        composite = sum(weight * largest[scorer]["raw_score"] for scorer, weight in parts.items())
        fields["VS_SPLICE"] = pytest.approx(composite, rel=1e-5)
        sizes = table.groupby(["gene_name", "variant_scorer"])["raw_score"].max()
        by_gene = sizes.unstack().reindex(columns=parts)
        fields["VS_SPLICE_GENE"] = by_gene.fillna(0).mul(pd.Series(parts)).sum(axis=1).idxmax()
    return fields
