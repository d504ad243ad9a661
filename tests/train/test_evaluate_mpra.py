"""Saturation mutagenesis: elements from the table, their windows, and the correlation of effects."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from evaluate_mpra import _effect_predictor, _of_cell_type, evaluate_elements, sum_around
from mpra_elements import DELETED, Element, place, put_variant, read_elements, rebuild

from tests.networks.alphagenome.tiny import CONFIG, embed, tiny_network, tiny_tracks
from tests.paths import need
from vepscore.contract import Scorer, Site
from vepscore.genome.alleles import Allele
from vepscore.genome.windows import Window
from vepscore.model.checkpoint import Checkpoint, CheckpointConfig
from vepscore.networks.alphagenome.config import scored_resolution_bp
from vepscore.outputs import Output
from vepscore.scorers.center_mask import CHIP_TF, DNASE
from vepscore.train.segments import Segment

WINDOW_BP = 16_384
HEADER = "Chrom\tPos\tRef\tAlt\tBarcodes\tDNA\tRNA\tCoefficient\tpValue\tElement\tRelease"
ROWS = [
    # LDLR is ACGT at 101-104, and its last variant has too few barcodes
    ("19", "101", "A", "C", 20, 0.5, "LDLR", "GRCh38"),
    ("19", "102", "C", "-", 10, -0.5, "LDLR", "GRCh38"),
    ("19", "103", "G", "T", 99, 0.25, "LDLR", "GRCh38"),
    ("19", "104", "T", "A", 9, 3.0, "LDLR", "GRCh38"),
    ("19", "7", "G", "T", 99, 0.25, "LDLR", "GRCh37"),
    ("NA", "NA", "NA", "NA", 99, 0.1, "LDLR", "GRCh38"),
    ("1", "11", "A", "C", 20, 0.1, "GAP", "GRCh38"),
    ("1", "13", "A", "C", 20, 0.1, "GAP", "GRCh38"),
    ("1", "14", "A", "C", 20, 0.1, "GAP", "GRCh38"),
    ("2", "5", "A", "C", 20, 0.1, "TWO", "GRCh38"),
    ("2", "5", "G", "C", 20, 0.1, "TWO", "GRCh38"),
    ("3", "5", "AC", "C", 20, 0.1, "LONG", "GRCh38"),
    ("4", "5", "A", "CC", 20, 0.1, "INSERTED", "GRCh38"),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = [
        f"{c}\t{p}\t{r}\t{a}\t{n}\t1\t1\t{effect}\t0.5\t{e}\t{v}" for c, p, r, a, n, effect, e, v in ROWS
    ]
    (tmp_path / "mpra.tsv").write_text("\n".join([HEADER, *lines]) + "\n")
    return tmp_path / "mpra.tsv"


@pytest.fixture
def element() -> Element:
    """300 bp at chr1:1,000 with six variants."""
    codes = np.random.default_rng(0).integers(0, 4, 300).astype(np.uint8)
    position = np.array([0, 10, 150, 150, 299, 299])
    alternate = np.array([(codes[0] + 1) % 4, (codes[10] + 2) % 4, (codes[150] + 1) % 4, -1, -1, 0], np.int8)
    return Element(
        name="LDLR",
        chrom="chr1",
        start0=1000,
        codes=codes,
        position=position,
        alternate=alternate,
        effect=np.linspace(-1, 1, 6),
    )


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    config = CheckpointConfig(
        name="tiny",
        architecture=CONFIG,
        organisms=("human", "mouse"),
        window_bp=WINDOW_BP,
        rotary_dtype="float32",
        license="test",
    )
    wanted = (Output.ATAC, Output.CHIP_TF)
    tracks = {output: table for output, table in tiny_tracks().items() if output in wanted}
    return Checkpoint(config=config, network=tiny_network(), tracks=tracks, digest="")


def test_an_element_is_rebuilt_from_its_reference_bases(table: Path) -> None:
    (element,), _ = read_elements(table)
    assert (element.name, element.chrom, element.start0, element.cell_type) == ("LDLR", "chr19", 100, "HepG2")
    assert element.codes.tolist() == [0, 1, 2, 3]
    assert element.position.tolist() == [0, 1, 2]
    assert element.alternate.tolist() == [1, DELETED, 3]
    assert element.effect.tolist() == [0.5, -0.5, 0.25]


def test_elements_that_cannot_be_rebuilt_are_listed_with_a_reason(table: Path) -> None:
    _, excluded = read_elements(table)
    assert excluded == {
        "GAP": "no reference base at 1 of 4 positions, the first at 12 (1-based)",
        "INSERTED": "alternate 'CC' is neither a base nor a deletion",
        "LONG": "a reference allele is not one base",
        "TWO": "a position has two reference bases",
    }


def test_the_order_of_the_rows_does_not_matter() -> None:
    start0, codes = rebuild(np.array([7, 5, 6, 5]), np.array(["T", "A", "C", "A"], object))
    assert (start0, codes.tolist()) == (5, [0, 1, 3])


def test_a_variant_has_the_same_number_in_every_experiment(element: Element) -> None:
    assert len(set(element.variant_key.tolist())) == 6
    position, alternate = Element.of_key(element.variant_key)
    np.testing.assert_array_equal(position, element.position)
    np.testing.assert_array_equal(alternate, element.alternate)


def test_without_genomic_context_an_element_has_n_around_it(element: Element) -> None:
    far = Segment(chrom="chr1", start0=1001, codes=np.zeros(900, np.uint8))
    window, context = place(element, [far], 1000)
    assert (context, len(window)) == ("N", 1001)
    assert (window[350:650] == element.codes).all()
    assert (window[:350] == 4).all() and (window[650:] == 4).all()


def test_an_element_that_the_genome_contains_has_genomic_context(element: Element) -> None:
    codes = np.random.default_rng(1).integers(0, 4, 2000).astype(np.uint8)
    codes[500:800] = element.codes
    window, context = place(element, [Segment(chrom="chr1", start0=500, codes=codes)], 1000)
    assert context == "genome"
    np.testing.assert_array_equal(window, codes[150:1151])
    codes[[600, 700]] = (codes[[600, 700]] + 1) % 4
    with pytest.raises(ValueError, match="other bases at 2 of 300 positions"):
        place(element, [Segment(chrom="chr1", start0=500, codes=codes)], 1000)


def test_a_window_narrower_than_the_element_is_refused(element: Element) -> None:
    with pytest.raises(ValueError, match="LDLR has 300 bp, more than a window of 256"):
        place(element, [], 256)


def test_a_deletion_shifts_the_next_base_in() -> None:
    window = np.array([0, 1, 2, 3, 1], np.uint8)
    assert put_variant(window, 1, 3).tolist() == [0, 3, 2, 3]
    assert put_variant(window, 1, DELETED).tolist() == [0, 2, 3, 1]
    assert window.tolist() == [0, 1, 2, 3, 1]


@pytest.mark.parametrize("scorer", [DNASE, CHIP_TF])
def test_the_signal_is_summed_over_the_bins_of_the_scorer(scorer: Scorer) -> None:
    centers = np.array([0, 1000, 2047, 4095])
    bins = 4096 // scored_resolution_bp(scorer.output)
    signal = np.random.default_rng(2).integers(0, 99, (4, bins, 3)).astype(np.float32)
    found = sum_around(jnp.asarray(signal), jnp.asarray(centers), scorer.output)
    window = Window(chrom="chr1", start0=0, end0=4096)
    for i, center in enumerate(centers.tolist()):
        site = Site(
            allele=Allele(chrom="chr1", pos0=center, ref="A", alt="C"),
            window=window,
            resolutions={scorer.output: scored_resolution_bp(scorer.output)},
        )
        positions = scorer.footprint(site).positions
        np.testing.assert_array_equal(found[i], signal[i, positions[positions >= 0]].sum(axis=0))


def test_one_reference_is_broadcast_to_all_positions() -> None:
    signal = jnp.arange(4096, dtype=jnp.float32)[None, :, None]
    assert sum_around(signal, jnp.array([1000, 2000]), Output.DNASE)[:, 0].tolist() == [501_000, 1_002_000]


def test_effects_are_those_of_the_whole_network(checkpoint: Checkpoint, element: Element) -> None:
    window, _ = place(element, [], WINDOW_BP)
    positions = element.position + (WINDOW_BP - 300) // 2
    effects = _effect_predictor(checkpoint, WINDOW_BP)(window, positions, element.alternate)
    assert {output: effect.shape for output, effect in effects.items()} == {
        Output.ATAC: (6, 3), Output.CHIP_TF: (6, 2),
    }  # fmt: skip
    network = checkpoint.network
    for i in (2, 3):
        sums = []
        for codes in (window[:-1], put_variant(window, positions[i], element.alternate[i])):
            embedding = embed(network, codes).bp1[:, positions[i] - 250 : positions[i] + 251]
            signal = network.heads[Output.ATAC](embedding, 0, resolution_bp=1)
            sums.append(np.asarray(signal)[0, :, :3].sum(axis=0))
        expected = np.log2(1 + sums[1]) - np.log2(1 + sums[0])
        np.testing.assert_allclose(effects[Output.ATAC][i], expected, atol=2e-4)
        assert np.abs(expected).max() > 1e-3


def test_rho_is_the_rank_correlation_of_effects(checkpoint: Checkpoint, element: Element) -> None:
    window, _ = place(element, [], WINDOW_BP)
    positions = element.position + (WINDOW_BP - 300) // 2
    effects = _effect_predictor(checkpoint, WINDOW_BP)(window, positions, element.alternate)
    mean = effects[Output.ATAC].mean(axis=1)
    same = dataclasses.replace(element, name="F9", effect=np.exp(mean))
    fewer = dataclasses.replace(
        element,
        name="TERT-HEK",
        position=element.position[3:],
        alternate=element.alternate[3:],
        effect=-mean[3:],
    )
    wide = dataclasses.replace(element, name="WIDE", codes=np.zeros(WINDOW_BP + 1, np.uint8))
    figures = evaluate_elements(checkpoint, [same, fewer, wide], [], WINDOW_BP)
    found = figures["elements"]
    assert {name: figure["spearman"]["ATAC"] for name, figure in found.items()} == {"F9": 1, "TERT-HEK": -1}
    assert {name: figure["variants"] for name, figure in found.items()} == {"F9": 6, "TERT-HEK": 3}
    assert figures["mean"]["ATAC"] == 0
    assert list(figures["excluded"]) == ["WIDE"]


def test_a_cell_type_is_a_whole_word_of_the_biosample() -> None:
    names = np.array(["HeLa-S3", "epithelial cell", "HEL", "erythroleukaemia line:hel 92.1.7", ""], object)
    tracks = dataclasses.replace(tiny_tracks()[Output.ATAC], biosample_name=names)
    assert _of_cell_type(tracks, "HEL").tolist() == [False, False, True, True, False]
    assert not _of_cell_type(tracks, "").any()


def test_all_real_elements_but_one_are_rebuilt() -> None:
    elements, excluded = read_elements(need("data/mpra_saturation_mutagenesis.tsv.gz"))
    assert len(elements) == 28
    assert list(excluded) == ["TCF7L2"]
    assert all(len(element.codes) <= 601 for element in elements)
    assert {element.cell_type for element in elements} == {"", "HepG2", "K562"}
    bases = np.bincount(np.concatenate([element.codes for element in elements]))
    assert len(bases) == 4 and bases.min() > 2000
    for element in elements:
        placed = element.alternate != DELETED
        assert (element.codes[element.position[placed]] != element.alternate[placed]).all()
