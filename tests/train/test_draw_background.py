"""Random variants near the genes of the tiny genome."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import draw_background
import numpy as np
import pytest
from draw_background import LONGEST_INDEL_BP, TRANSITIONS, Variant, draw_variants, write_variants

from tests.builders import GENES, TinyGenome, build_genome, sequences
from tests.io.samples import read_all, run_tool
from tests.train.scripts import run_script
from vepscore.errors import InputError
from vepscore.genome.annotation import Annotation
from vepscore.genome.fasta import Reference

FLANK_BP = 1_000


@pytest.fixture(scope="module", autouse=True)
def narrow_flanks() -> Iterator[None]:
    """Narrow the flanks, so that the tiny genome has positions far from genes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw_background, "FLANK_BP", FLANK_BP)
        yield


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> TinyGenome:
    return build_genome(tmp_path_factory.mktemp("background"))


@pytest.fixture(scope="module")
def reference(genome: TinyGenome) -> Reference:
    return Reference(genome.fasta, genome.fasta.parent / "cache")


@pytest.fixture(scope="module")
def annotation(genome: TinyGenome) -> Annotation:
    return Annotation.from_gtf(genome.gtf, genome.gtf.parent / "cache")


@pytest.fixture(scope="module")
def variants(reference: Reference, annotation: Annotation) -> list[Variant]:
    return draw_variants(reference, annotation, snvs=3000, indels=1000, seed=1)


def near_genes(contig: str) -> np.ndarray:
    """Return bool (bp,): the gene bodies and their flanks."""
    inside = np.zeros(len(sequences()[contig]), bool)
    for chrom, _, _, transcripts in GENES.values():
        if chrom == contig:
            exons = [exon for exons in transcripts for exon in exons]
            inside[max(min(exons)[0] - FLANK_BP, 0) : max(end for _, end in exons) + FLANK_BP] = True
    return inside


def test_variants_have_the_requested_counts_and_unique_sorted_positions(variants: list[Variant]) -> None:
    assert Counter(len(each.ref) == len(each.alt) == 1 for each in variants) == {True: 3000, False: 1000}
    positions = [(each.contig, each.pos0) for each in variants]
    assert positions == sorted(set(positions))


def test_ref_is_that_of_the_genome_and_known(variants: list[Variant], reference: Reference) -> None:
    names = list(reference.contigs)
    for each in variants:
        bases = sequences()[names[each.contig]]
        assert bases[each.pos0 : each.pos0 + len(each.ref)] == each.ref
        assert set(each.ref + each.alt) <= set("ACGT") and each.ref != each.alt


def test_positions_are_uniform_over_genes_and_flanks(variants: list[Variant], reference: Reference) -> None:
    names = list(reference.contigs)
    inside = {name: near_genes(name) for name in names}
    assert all(inside[names[each.contig]][each.pos0] for each in variants)
    total = sum(map(np.sum, inside.values()))
    for name, first, last in (("chr1", 0, 4_000), ("chr1", 11_000, 16_000), ("chr3", 0, 6_000)):
        expected = inside[name][first:last].sum() / total
        found = np.mean([names[v.contig] == name and first <= v.pos0 < last for v in variants])
        assert found == pytest.approx(expected, abs=0.02)  # the standard deviation is 0.008 at most
    assert "chr2" not in {names[each.contig] for each in variants}  # no genes there


def test_two_of_three_substitutions_are_transitions(variants: list[Variant]) -> None:
    snvs = [each for each in variants if len(each.ref) == len(each.alt)]
    assert np.mean([TRANSITIONS[each.ref] == each.alt for each in snvs]) == pytest.approx(2 / 3, abs=0.04)


def test_indels_are_anchored_and_mostly_short(variants: list[Variant]) -> None:
    indels = [each for each in variants if len(each.ref) != len(each.alt)]
    assert all(each.ref[0] == each.alt[0] and 1 in (len(each.ref), len(each.alt)) for each in indels)
    lengths = np.array([len(each.alt) - len(each.ref) for each in indels])
    assert np.mean(lengths > 0) == pytest.approx(0.5, abs=0.06)
    assert np.mean(np.abs(lengths) == 1) == pytest.approx(0.5, abs=0.06)
    assert np.abs(lengths).max() <= LONGEST_INDEL_BP


def test_the_seed_determines_the_variants(reference: Reference, annotation: Annotation) -> None:
    first, again, other = (draw_variants(reference, annotation, snvs=40, indels=5, seed=n) for n in (1, 1, 2))
    assert first == again != other


def test_contig_names_of_another_scheme_are_matched(annotation: Annotation, tmp_path: Path) -> None:
    genome = build_genome(tmp_path, contigs=("1", "scaffold", "3"))
    found = draw_variants(Reference(genome.fasta, tmp_path), annotation, snvs=200, indels=0, seed=0)
    assert {each.contig for each in found} == {0, 2}


def test_contigs_without_genes_are_an_error(annotation: Annotation, tmp_path: Path) -> None:
    genome = build_genome(tmp_path, contigs=("a", "b", "c"))
    with pytest.raises(InputError, match="has no contig with genes of the annotation"):
        draw_variants(Reference(genome.fasta, tmp_path), annotation, snvs=1, indels=0, seed=0)


def test_more_variants_than_fit_are_an_error(
    reference: Reference, annotation: Annotation, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has too few known bases near genes for 9000 variants"):
        draw_variants(reference, annotation, snvs=8_000, indels=1_000, seed=0)
    (tmp_path / "unknown.fa").write_text(f">chr1\n{'N' * 20_000}\n")
    with pytest.raises(InputError, match="has too few known bases near genes for 10 variants"):
        draw_variants(Reference(tmp_path / "unknown.fa", tmp_path), annotation, snvs=5, indels=5, seed=0)


def test_bcftools_reads_the_variants(
    variants: list[Variant], reference: Reference, genome: TinyGenome, tmp_path: Path
) -> None:
    write_variants(str(tmp_path / "out.vcf.gz"), reference, variants)
    checked = run_tool("bcftools", "view", "-H", tmp_path / "out.vcf.gz", "chr1:1-30000", "chr3")
    assert checked.count("\n") == len(variants)
    header, records = read_all(tmp_path / "out.vcf.gz")
    assert list(header.declared("contig")) == list(reference.contigs)
    assert [(each.pos1 - 1, each.ref, each.alts) for each in records] == [
        (each.pos0, each.ref, (each.alt,)) for each in variants
    ]


def test_the_script_writes_the_same_bytes_again(genome: TinyGenome, tmp_path: Path) -> None:
    for name in ("a.vcf.gz", "b.vcf.gz"):
        options = ("-o", name, "--snvs", "30", "--indels", "10", "--seed", "7")
        environment = {"VEPSCORE_CACHE": str(tmp_path / "cache")}
        done = run_script(
            "draw_background.py", genome.fasta, genome.gtf, *options, environment=environment, cwd=tmp_path
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (tmp_path / "a.vcf.gz").read_bytes() == (tmp_path / "b.vcf.gz").read_bytes()
    assert len(read_all(tmp_path / "a.vcf.gz")[1]) == 40
