"""`vepscore evaluate` as a user runs it."""

import csv
import io
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pysam
import pytest

from tests.cli.commands import vepscore
from tests.evaluate.planted import GENES, Genome, info_line, sites, write_scored
from tests.paths import need
from vepscore.errors import InputError
from vepscore.evaluate.changes import change_of
from vepscore.evaluate.judged_alleles import JudgedAlleles, read_judged_alleles
from vepscore.evaluate.pwm import SiteModel, train_matrices
from vepscore.evaluate.truth import Labels
from vepscore.genome.alleles import Allele
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference

META = (
    info_line("CLNSIG", "1", "String"),
    info_line("DPSI", "A", "Float"),
    info_line("VS_STATUS", "A", "String"),
    info_line("VS_SPLICE", "A", "Float"),
    info_line("OTHER", "1", "Float"),
    "##vepscoreCheckpoint=of-a-test",
)
LABELS = ("--label", "CLNSIG", "--positive", "Pathogenic,Likely_pathogenic", "--negative", "benign")
LabelledRun = tuple[subprocess.CompletedProcess[str], list[dict[str, str]], Path]


@pytest.fixture(scope="module")
def rows(planted: Genome) -> list[tuple[Allele, str]]:
    """At each site of the judged contig: canonical bases changed, which is pathogenic, and bases nearby, benign.

    VS_SPLICE knows the truth but for one allele in ten, OTHER knows nothing.
    """
    rng = np.random.default_rng(1)
    found = []
    for kind, strand, boundary in sites("judged"):
        intron_right = (kind == "donor") == (strand == "+")
        for offset in range(1, 40):
            pos0 = boundary + offset - 1 if intron_right else boundary - offset
            bad = offset <= 2 or offset % 7 == 0
            knows = bad != (rng.random() < 0.1)
            score = rng.random() / 2 + knows / 2
            truth = f"CLNSIG={'Pathogenic' if bad else 'Benign'};DPSI={-score - 0.1 * rng.random():.4f}"
            scores = f"VS_STATUS=OK;VS_SPLICE={score:.5f};OTHER={rng.normal():.5f}"
            found.append((planted.snv("judged", pos0), f"{truth};{scores}"))
    return sorted(found, key=lambda row: row[0].pos0)


@pytest.fixture(scope="module")
def scored(planted: Genome, rows: list[tuple[Allele, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scored(tmp_path_factory.mktemp("scored") / "scored.vcf", rows, META)


def run(
    planted: Genome, source: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    options = ("-r", str(planted.fasta), "-g", str(planted.gtf), "--bootstrap", "50", *map(str, arguments))
    return vepscore("evaluate", str(source), *options, environment=environment)


def read_table(path: Path) -> list[dict[str, str]]:
    lines = path.read_text().splitlines(keepends=True)
    return list(csv.DictReader(io.StringIO("".join(one for one in lines if one[:2] != "##")), delimiter="\t"))


def value(table: list[dict[str, str]], predictor: str, stratum: str, metric: str) -> float:
    (row,) = [r for r in table if (r["predictor"], r["stratum"], r["metric"]) == (predictor, stratum, metric)]
    return float(row["value"])


@pytest.fixture(scope="module")
def labelled(planted: Genome, scored: Path, tmp_path_factory: pytest.TempPathFactory) -> LabelledRun:
    """A run by labels: the process, its table, and where that lies."""
    path = tmp_path_factory.mktemp("out") / "table.tsv"
    done = run(planted, scored, *LABELS, "-s", "VS_SPLICE", "-s", "OTHER", "-o", path)
    assert done.returncode == 0, done.stderr
    return done, read_table(path), path


class TestLabels:
    def test_a_row_for_each_predictor_stratum_and_metric(self, labelled: LabelledRun) -> None:
        _, table, _ = labelled
        keys = {(row["predictor"], row["stratum"], row["metric"]) for row in table}
        assert len(keys) == len(table) == 4 * 10 * 3 * 2
        assert {predictor for predictor, *_ in keys} == {"VS_SPLICE", "OTHER", "distance", "pwm"}

    def test_values_are_those_of_scikit_learn(
        self, labelled: LabelledRun, planted: Genome, rows: list[tuple[Allele, str]]
    ) -> None:
        from sklearn.metrics import average_precision_score, roc_auc_score

        _, table, _ = labelled
        infos = [dict(pair.split("=") for pair in info.split(";")) for _, info in rows]
        labels = [info["CLNSIG"] == "Pathogenic" for info in infos]
        training = train_matrices(planted.annotation, [planted.reference], ["judged"])
        model = SiteModel(training.matrices, planted.annotation, planted.reference)
        near = [
            min(
                boundary - allele.pos0 if allele.pos0 < boundary else allele.pos0 - boundary + 1
                for *_, boundary in sites("judged")
            )
            for allele, _ in rows
        ]
        scores = {
            "VS_SPLICE": [float(info["VS_SPLICE"]) for info in infos],
            "OTHER": [abs(float(info["OTHER"])) for info in infos],
            "distance": [-distance for distance in near],
            "pwm": [abs(model.score(change_of(allele))) for allele, _ in rows],
        }
        for name, sizes in scores.items():
            assert value(table, name, "all", "auroc") == pytest.approx(roc_auc_score(labels, sizes), abs=1e-6)
            expected = average_precision_score(labels, sizes)
            assert value(table, name, "all", "auprc") == pytest.approx(expected, abs=1e-6)
        assert value(table, "VS_SPLICE", "all", "auroc") > 0.85 > value(table, "OTHER", "all", "auroc")
        assert value(table, "pwm", "within_50", "auroc") > value(
            table, "pwm", "within_50_noncanonical", "auroc"
        )

    def test_counts_and_intervals(self, labelled: LabelledRun, rows: list[tuple[Allele, str]]) -> None:
        _, table, _ = labelled
        whole = next(row for row in table if row["stratum"] == "all")
        assert (whole["n"], whole["n_positive"]) == (str(len(rows)), str(len(list(sites("judged"))) * 7))
        for row in table:
            if row["value"]:
                assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
        canonical = [row for row in table if row["stratum"] == "canonical"]
        assert {(row["n"], row["n_positive"], row["value"]) for row in canonical} == {("32", "32", "")}

    def test_standard_output_is_the_table_and_the_rest_goes_to_standard_error(
        self, labelled: LabelledRun
    ) -> None:
        done, table, _ = labelled
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        assert [(line[2], line[0], line[1], line[3]) for line in lines] == [
            (row["predictor"], row["stratum"], row["metric"], row["n"])
            for row in table
            if not row["stratum"].endswith(("_snv", "_indel"))  # all alleles are SNVs
        ]
        assert "alternate alleles are evaluated" in done.stderr
        assert f"trained on {2 * GENES['training']} introns of training" in done.stderr

    def test_same_bytes_again_and_from_bcf(
        self, labelled: LabelledRun, planted: Genome, scored: Path, tmp_path: Path
    ) -> None:
        _, _, path = labelled
        bcf = tmp_path / "scored.bcf"
        with (
            pysam.VariantFile(str(scored)) as source,
            pysam.VariantFile(str(bcf), "wb", header=source.header) as to,
        ):
            for record in source:
                to.write(record)
        for name, source in (("again.tsv", scored), ("bcf.tsv", bcf)):
            done = run(planted, source, *LABELS, "-s", "VS_SPLICE", "-s", "OTHER", "-o", tmp_path / name)
            assert done.returncode == 0, done.stderr
            assert (tmp_path / name).read_bytes() == path.read_bytes()

    def test_table_says_how_the_scores_were_made_and_what_was_judged(self, labelled: LabelledRun) -> None:
        text = labelled[2].read_text()
        assert "##vepscoreCheckpoint=of-a-test\n" in text
        assert "##evaluateTruth=CLNSIG; positive likely_pathogenic,pathogenic; negative benign;" in text
        assert "##evaluateExcluded=none\n" in text


class TestEffects:
    def test_spearman_and_sign_accuracy(
        self, planted: Genome, scored: Path, rows: list[tuple[Allele, str]], tmp_path: Path
    ) -> None:
        from scipy.stats import spearmanr

        path = tmp_path / "table.tsv"
        done = run(planted, scored, "--effect", "DPSI", "-s", "VS_SPLICE", "-s", "OTHER", "-o", path)
        assert done.returncode == 0, done.stderr
        table = read_table(path)
        infos = [dict(pair.split("=") for pair in info.split(";")) for _, info in rows]
        effects, splice, other = (
            np.array([float(info[key]) for info in infos]) for key in ("DPSI", "VS_SPLICE", "OTHER")
        )
        for name, scores in (("VS_SPLICE", splice), ("OTHER", np.abs(other))):
            expected = spearmanr(scores, np.abs(effects)).statistic
            assert value(table, name, "all", "spearman_of_sizes") == pytest.approx(expected, abs=1e-6)
        assert value(table, "OTHER", "all", "spearman") == pytest.approx(
            spearmanr(other, effects).statistic, abs=1e-6
        )
        assert value(table, "OTHER", "all", "sign_accuracy") == pytest.approx(np.mean(other < 0), abs=1e-6)
        signed = {row["predictor"] for row in table if row["metric"] == "sign_accuracy"}
        assert signed == {"OTHER", "pwm"}  # VS_SPLICE and the distance have no direction
        assert {row["n_positive"] for row in table} == {""}


class TestExclusions:
    def test_each_allele_is_judged_or_counted(
        self, planted: Genome, rows: list[tuple[Allele, str]], tmp_path: Path
    ) -> None:
        """Every reason once, in one VCF."""
        good = "VS_STATUS=OK;VS_SPLICE=0.1;CLNSIG=Benign"
        base = planted.contigs["judged"][600]
        other = "ACGT"["ACGT".index(base) - 1]
        wrong_ref = Allele(chrom="judged", pos0=600, ref=other, alt=base)
        odd = [
            (planted.snv("judged", 600), "VS_STATUS=OK;VS_SPLICE=0.1"),
            (planted.snv("judged", 601), "VS_STATUS=OK;VS_SPLICE=0.1;CLNSIG=other"),
            (planted.snv("judged", 602), "VS_STATUS=OK;VS_SPLICE=0.1;CLNSIG=Uncertain"),
            (planted.snv("judged", 603), "VS_STATUS=OK;VS_SPLICE=0.1;CLNSIG=Benign|Pathogenic"),
            (planted.snv("judged", 604), "VS_STATUS=FAILED;VS_SPLICE=.;CLNSIG=Benign"),
            (planted.snv("judged", 605), "VS_STATUS=OK;VS_SPLICE=.;CLNSIG=Benign"),
            (planted.allele("judged", 606, 1, "<DEL>"), good),
            (planted.allele("judged", 607, 1, "N"), good),
            (wrong_ref, good),
            (Allele(chrom="judged", pos0=10**6, ref="A", alt="C"), good),
            (planted.snv("training", 600), good),
        ]
        source = write_scored(tmp_path / "odd.vcf", [*rows, *odd], META)
        done = run(planted, source, *LABELS, "--chromosomes", "judged", "-o", tmp_path / "table.tsv")
        assert done.returncode == 0, done.stderr
        assert f"{len(rows)} of {len(rows) + len(odd)} alternate alleles are evaluated" in done.stderr
        excluded = [line for line in done.stderr.splitlines() if " excluded: " in line]
        assert sorted(excluded) == sorted(
            f"1 excluded: {reason}"
            for reason in (
                "no CLNSIG",
                "CLNSIG has only values that are ignored",
                "CLNSIG is of another class",
                "CLNSIG is of both classes",
                "not scored (FAILED)",
                "no VS_SPLICE",
                "no plain sequence (SYMBOLIC)",
                "no plain sequence (NON_ACGT)",
                "REF differs from the reference (REF_MISMATCH)",
                "not on the reference (OFF_REFERENCE)",
                "on another chromosome",
            )
        )
        header = next(one for one in (tmp_path / "table.tsv").read_text().splitlines() if "Excluded" in one)
        assert header.count(";") == len(odd) - 1

    def test_another_tool_is_judged_where_no_scorer_of_ours_applied(
        self, planted: Genome, rows: list[tuple[Allele, str]], tmp_path: Path
    ) -> None:
        info = "VS_STATUS=NOT_APPLICABLE;VS_SPLICE=.;OTHER=0.5;CLNSIG=Benign"
        source = write_scored(tmp_path / "other.vcf", [*rows, (planted.snv("judged", 600), info)], META)
        done = run(planted, source, *LABELS, "-s", "OTHER")
        assert done.returncode == 0, done.stderr
        assert f"{len(rows) + 1} of {len(rows) + 1} alternate alleles are evaluated" in done.stderr

    def test_alts_are_judged_one_by_one(
        self, planted: Genome, rows: list[tuple[Allele, str]], tmp_path: Path
    ) -> None:
        meta = [*META[1:], info_line("CLNSIG", "A", "String")]
        two = planted.allele(
            "judged", 600, 1, ",".join(sorted(set("ACGT") - {planted.contigs["judged"][600]})[:2])
        )
        both = [(two, "VS_STATUS=OK,N_WINDOW;VS_SPLICE=0.5,.;CLNSIG=Benign,Pathogenic")]
        source = write_scored(tmp_path / "two.vcf", [*rows, *both], meta)
        done = run(planted, source, *LABELS)
        assert done.returncode == 0, done.stderr
        assert f"{len(rows) + 1} of {len(rows) + 2} alternate alleles are evaluated" in done.stderr
        assert "1 excluded: not scored (N_WINDOW)" in done.stderr


class TestBaselinesAlone:
    def test_vcf_without_our_fields(
        self, planted: Genome, rows: list[tuple[Allele, str]], tmp_path: Path
    ) -> None:
        bare = [(allele, info.split(";")[0]) for allele, info in rows]
        source = write_scored(tmp_path / "bare.vcf", bare, META[:1])
        done = run(planted, source, *LABELS)
        assert done.returncode == 0, done.stderr
        assert "has no VS_SPLICE: only the baselines are evaluated" in done.stderr
        assert {line.split("\t")[2] for line in done.stdout.splitlines()} == {"distance", "pwm"}

    def test_without_introns_to_train_on_there_is_no_pwm(self, planted: Genome, scored: Path) -> None:
        done = run(planted, scored, *LABELS, "--pwm-exclude", "judged,training")
        assert done.returncode == 0, done.stderr
        assert "no baseline pwm: 0 introns with known sequence outside of judged, training" in done.stderr
        assert {line.split("\t")[2] for line in done.stdout.splitlines()} == {"VS_SPLICE", "distance"}


class TestFilesThatDoNotFit:
    def read(self, planted: Genome, source: Path, cache: Path) -> JudgedAlleles:
        annotation = Annotation.from_gtf(planted.gtf, cache)
        labels = Labels.parse("CLNSIG", "Pathogenic", "Benign")
        return read_judged_alleles(source, labels, Reference(planted.fasta, cache), annotation=annotation)

    def test_header_of_another_assembly(
        self,
        planted: Genome,
        rows: list[tuple[Allele, str]],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path = write_scored(tmp_path / "in.vcf", rows, META)
        length = len(planted.contigs["judged"])
        path.write_text(path.read_text().replace("<ID=judged>", "<ID=judged,length=77>"))
        assert self.read(planted, path, tmp_path).cases
        (warning,) = caplog.records
        assert warning.getMessage().splitlines()[1:3] == [
            "  header of in.vcf: judged has 77 bp",
            f"  planted.fa: judged has {length:,} bp",
        ]

    def test_contigs_of_other_names(
        self,
        planted: Genome,
        rows: list[tuple[Allele, str]],
        tmp_path: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        path = write_scored(tmp_path / "in.vcf", rows, META)
        path.write_text(path.read_text().replace("\njudged\t", "\nNC_060925.1\t"))
        with pytest.raises(InputError, match="OFF_REFERENCE"):
            self.read(planted, path, tmp_path)
        assert "the records: NC_060925.1\n  planted.fa: " in caplog.text


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "status", "message"),
        [
            ((), 2, "expected one of --label and --effect, found neither"),
            ((*LABELS, "--effect", "DPSI"), 2, "expected one of --label and --effect, found both"),
            (LABELS[:2], 2, "--label CLNSIG needs --positive and --negative"),
            (("--effect", "DPSI", *LABELS[2:]), 2, "are for --label"),
            ((*LABELS[:4], "--negative", "PATHOGENIC"), 2, "is both --positive and --negative"),
            ((*LABELS[:4], "--negative", "Foo"), 1, "the most frequent values of CLNSIG: Benign ("),
            (
                ("--label", "CLNSIGG", *LABELS[2:]),
                1,
                "the header declares no INFO field CLNSIGG; it has CLNSIG, ",
            ),
            ((*LABELS, "-s", "VS_NO"), 1, "the header declares no INFO field VS_NO"),
            ((*LABELS, "-s", "CLNSIG"), 1, "expected a number or '.'"),
            (("--effect", "CLNSIG"), 1, "scored.vcf record 0, judged:"),
            ((*LABELS, "--chromosomes", "training"), 1, "624 excluded: on another chromosome"),
        ],
    )
    def test_message_and_no_output(
        self,
        planted: Genome,
        scored: Path,
        tmp_path: Path,
        arguments: tuple[str, ...],
        status: int,
        message: str,
    ) -> None:
        done = run(planted, scored, *arguments, "-o", tmp_path / "table.tsv")
        assert (done.returncode, done.stdout) == (status, "")
        assert done.stderr.startswith("error: ") and message in done.stderr
        assert list(tmp_path.iterdir()) == []

    def test_output_of_another_kind(self, planted: Genome, scored: Path, tmp_path: Path) -> None:
        done = run(planted, scored, *LABELS, "-o", tmp_path / "table.csv")
        assert (done.returncode, done.stdout) == (2, "")
        assert "expected a name that ends in .tsv or .tsv.gz" in done.stderr

    def test_output_in_the_place_of_the_input(
        self, planted: Genome, rows: list[tuple[Allele, str]], tmp_path: Path
    ) -> None:
        source = write_scored(tmp_path / "scored.tsv", rows, META)
        before = source.read_bytes()
        done = run(planted, source, *LABELS, "-o", source)
        assert done.returncode == 2 and "would replace an input" in done.stderr
        assert source.read_bytes() == before


def test_clinvar(human_cache: Path, tmp_path: Path) -> None:
    """The baselines on ClinVar's chr16: every allele accounted for, and at splice sites better than chance."""
    source, path = need("data/clinvar_2016.hg38.vcf.gz"), tmp_path / "table.tsv"
    options = ["-r", need("data/hg38_native.fa.gz"), "-g", need("data/refseq_hg38.gtf.gz"), "-o", path]
    labels = [*LABELS[:5], "Benign,Likely_benign", "--chromosomes", "16", "--bootstrap", "100"]
    done = vepscore(
        "evaluate", *map(str, (source, *options, *labels)), environment={"VEPSCORE_CACHE": str(human_cache)}
    )
    assert done.returncode == 0, done.stderr
    counts = [int(line.split()[0]) for line in done.stderr.splitlines() if " excluded: " in line]
    table = read_table(path)
    whole = next(row for row in table if row["stratum"] == "all")
    assert int(whole["n"]) + sum(counts) == 5_443
    assert (whole["n"], whole["n_positive"]) == ("618", "226")
    for predictor in ("distance", "pwm"):
        assert value(table, predictor, "splice_region", "auroc") > 0.7
    assert value(table, "pwm", "within_50", "auroc") > 0.55
