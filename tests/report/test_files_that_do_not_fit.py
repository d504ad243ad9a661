"""Files that do not fit together: what is said of an annotation or a reference of another genome."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.report.scored import Scored, ranked, write_scored
from vepscore.cli.plot import plot
from vepscore.cli.report import report
from vepscore.errors import CheckpointError
from vepscore.options import ComputeOptions, ModelOptions, WindowOptions

UNKNOWN = (ModelOptions(checkpoint="of-no-name"), WindowOptions(), ComputeOptions())


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return write_scored(tmp_path_factory.mktemp("scored"))


@pytest.fixture
def shorter(scored: Scored, tmp_path: Path) -> Path:
    """The scored VCF, whose header declares chr1 shorter than the genes and the reference have it."""
    path = tmp_path / "shorter.vcf"
    first, *rest = scored.vcf.read_text().splitlines(True)
    path.write_text("".join((first, "##contig=<ID=1,length=4000>\n", *rest)))
    return path


@pytest.fixture
def fasta(tmp_path: Path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{'A' * 10_000}\n>chr2\nACGT\n")
    return path


def test_header_that_contradicts_annotation_and_reference(
    shorter: Path, scored: Scored, fasta: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ranked(shorter, annotation=scored.gtf)
    expected = ["  header of shorter.vcf: 1 has 4,000 bp", "  genes.gtf: genes on chr1 up to 4,500"]
    assert [one.getMessage().splitlines()[1:3] for one in caplog.records] == [expected]
    caplog.clear()
    ranked(shorter, annotation=scored.gtf, reference=fasta)
    expected.insert(1, "  genome.fa: chr1 has 10,000 bp")
    assert [one.getMessage().splitlines()[1:4] for one in caplog.records] == [expected]


@pytest.mark.parametrize("draw", [plot, report])
def test_pictures_compare_the_reference_before_anything_is_predicted(
    shorter: Path,
    scored: Scored,
    fasta: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    draw: Callable[..., None],
) -> None:
    output = tmp_path / ("out.svg" if draw is plot else "out.html")
    with pytest.raises(CheckpointError):
        draw(str(shorter), output, *UNKNOWN, reference=fasta, annotation=scored.gtf)
    assert "genome.fa: chr1 has 10,000 bp" in caplog.text


def test_picture_of_a_variant_compares_reference_and_annotation(
    scored: Scored, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fasta = tmp_path / "short.fa"
    fasta.write_text(f">1\n{'A' * 4_400}\n")
    with pytest.raises(CheckpointError):
        plot("chr1:5:A>C", tmp_path / "out.svg", *UNKNOWN, reference=fasta, annotation=scored.gtf)
    assert "  short.fa: 1 has 4,400 bp\n  genes.gtf: genes on chr1 up to 4,500" in caplog.text


def test_files_that_fit(scored: Scored, fasta: Path, caplog: pytest.LogCaptureFixture) -> None:
    ranked(scored.vcf, annotation=scored.gtf, reference=fasta)
    assert caplog.records == []


@pytest.mark.parametrize("kind", ["vcf", "parquet"])
def test_annotation_of_contigs_of_other_names(
    kind: str, scored: Scored, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = tmp_path / "t2t.gtf"
    other.write_text(scored.gtf.read_text().replace("chr1\t", "NC_060925.1\t"))
    ranked(getattr(scored, kind), annotation=other)
    first, second, third, _ = caplog.records[0].getMessage().splitlines()
    assert first == "3 of 3 alleles are on contigs that t2t.gtf does not have"
    assert (second.strip(), third.strip()) == ("the alleles: chr1", "t2t.gtf: NC_060925.1")
