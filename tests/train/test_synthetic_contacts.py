"""Synthetic contact maps of loops and domains: liftover, maps of windows, and their evaluation."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from evaluate_held_out import evaluate_contacts
from synthetic_contacts import (
    BIN_BP,
    DOMAIN,
    INSULATED,
    LOOP,
    Lift,
    SyntheticContacts,
    contact_tracks,
    synthesize_map,
)

from tests.networks.alphagenome.tiny import CONFIG, embed, tiny_network, tiny_tracks
from tests.paths import need
from vepscore.genome.annotation import Annotation
from vepscore.model.checkpoint import Checkpoint, CheckpointConfig
from vepscore.outputs import Output
from vepscore.train.losses import contact_loss
from vepscore.train.segments import Segment
from vepscore.train.training_data import TrainingData

# chr1: the first Mb moves by 5,000; then 100,000 bases are lost. chr2 is inverted. chr16 stays.
CHAIN = """chain 900 chr1 10000000 + 0 3000000 chr1 20000000 + 5000 2905000 1
1000000\t100000\t0
1900000

chain 800 chr2 1000000 + 0 1000000 chr2 1000000 - 0 1000000 2
1000000

chain 700 chr16 1000000 + 0 1000000 chr16 1000000 + 0 1000000 3
1000000

"""
NONE2, NONE4 = np.empty((0, 2), np.int64), np.empty((0, 4), np.int64)


def domains(*bins: tuple[int, int], start0: int = 0) -> np.ndarray:
    return start0 + BIN_BP * np.array(bins, np.int64)


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    path = tmp_path / "a.over.chain"
    path.write_text(CHAIN)
    return path


@pytest.fixture
def data(tmp_path: Path, chain: Path) -> SyntheticContacts:
    """Loops and domains on chr1 and chr16, without and with the prefix chr; one of each does not lift."""
    loop = f"1\t{2 * BIN_BP}\t{3 * BIN_BP}\t1\t{20 * BIN_BP}\t{21 * BIN_BP}"
    lost = "1\t1000100\t1010100\t1\t1200000\t1210000"
    (tmp_path / "loops.bedpe").write_text(f"#columns color=11\n{loop}\t.\t0\n{lost}\t.\t0\n")
    rows = [("1", 2 * BIN_BP, 21 * BIN_BP), ("chr16", 0, 7 * BIN_BP), ("9", 1, 100_000)]
    (tmp_path / "domains.bedpe").write_text("".join(f"{c}\t{s}\t{e}\t{c}\t{s}\t{e}\n" for c, s, e in rows))
    return SyntheticContacts(tmp_path / "loops.bedpe", tmp_path / "domains.bedpe", chain)


@pytest.fixture
def annotation(tmp_path: Path) -> Annotation:
    attributes = 'gene_id "g"; transcript_id "t"; gene_type "protein_coding";'
    (tmp_path / "g.gtf").write_text(f"chr1\tx\texon\t11\t20\t.\t+\t.\t{attributes}\n")
    return Annotation.from_gtf(tmp_path / "g.gtf", tmp_path)


@pytest.mark.parametrize(
    ("interval", "lifted"),
    [
        (("chr1", 10, 20), ("chr1", 5010, 5020)),
        (("chr1", 1_100_000, 1_100_010), ("chr1", 1_005_000, 1_005_010)),
        (("chr1", 200_000, 2_200_000), ("chr1", 205_000, 2_105_000)),  # a twentieth shorter
        (("chr1", 950_000, 1_150_000), None),  # half as long
        (("chr1", 1_000_000, 1_200_000), None),  # starts in what is lost
        (("chr2", 100, 300), ("chr2", 999_700, 999_900)),
        (("chr3", 100, 300), None),
    ],
)  # fmt: skip
def test_an_interval_is_lifted_by_its_ends(
    chain: Path, interval: tuple[str, int, int], lifted: tuple[str, int, int] | None
) -> None:
    assert Lift(chain).interval(*interval) == lifted


def test_a_domain_is_a_square_that_its_ends_insulate() -> None:
    o, d, i = 0.0, DOMAIN, INSULATED
    np.testing.assert_array_equal(
        synthesize_map(0, 8, domains((2, 4)), NONE4)[..., 0],
        np.float32([
            [o, o, i, i, o, o, o, o],
            [o, o, i, i, o, o, o, o],
            [i, i, d, d, i, i, o, o],
            [i, i, d, d, i, i, o, o],
            [o, o, i, i, o, o, o, o],
            [o, o, i, i, o, o, o, o],
            [o, o, o, o, o, o, o, o],
            [o, o, o, o, o, o, o, o],
        ]),
    )  # fmt: skip


def test_a_domain_within_another_does_not_insulate_it() -> None:
    drawn = synthesize_map(0, 16, domains((2, 4), (0, 8)), NONE4)[..., 0]
    assert (drawn[:8, :8] == np.float32(DOMAIN)).all()
    assert (drawn[:8, 8:] == np.float32(INSULATED)).all()


def test_a_loop_is_a_peak_where_its_anchors_meet() -> None:
    anchors = np.array([[BIN_BP, 2 * BIN_BP, 5 * BIN_BP, 6 * BIN_BP]])
    drawn = synthesize_map(0, 8, NONE2, anchors)[..., 0]
    assert drawn[1, 5] == drawn[5, 1] == LOOP
    one_bin_off = np.exp(-2)  # two standard deviations of half an anchor each
    assert drawn[2, 5] == drawn[1, 4] == drawn[4, 1] == pytest.approx(LOOP * one_bin_off)
    assert drawn[2, 4] == pytest.approx(LOOP * one_bin_off**2)
    assert drawn[1, 1] == drawn[5, 5] == pytest.approx(0, abs=1e-6)


def test_a_loop_at_the_corner_of_a_domain_adds_to_it() -> None:
    anchors = np.array([[0, BIN_BP, 5 * BIN_BP, 6 * BIN_BP]])
    assert synthesize_map(0, 8, domains((0, 6)), anchors)[0, 5, 0] == DOMAIN + LOOP


def test_a_window_has_its_part_of_the_map_of_the_chromosome() -> None:
    features = domains((3, 6), (10, 14)), np.array([[4 * BIN_BP, 5 * BIN_BP, 11 * BIN_BP, 12 * BIN_BP]])
    whole = synthesize_map(0, 16, *features)
    np.testing.assert_allclose(synthesize_map(4 * BIN_BP, 8, *features), whole[4:12, 4:12], atol=1e-6)
    np.testing.assert_array_equal(whole, whole.swapaxes(0, 1))


def test_features_that_do_not_lift_are_counted_and_excluded(data: SyntheticContacts) -> None:
    assert data.unlifted == 2
    shifted = [2 * BIN_BP + 5000, 3 * BIN_BP + 5000, 20 * BIN_BP + 5000, 21 * BIN_BP + 5000]
    assert {chrom: rows.tolist() for chrom, rows in data.loops.items()} == {"chr1": [shifted]}
    assert {chrom: rows.tolist() for chrom, rows in data.domains.items()} == {
        "chr1": [[2 * BIN_BP + 5000, 21 * BIN_BP + 5000]],
        "chr16": [[0, 7 * BIN_BP]],
    }


def test_a_window_has_the_features_of_its_chromosome(data: SyntheticContacts) -> None:
    drawn = data.window("chr1", 5000, 32 * BIN_BP)
    assert drawn[2, 20, 0] == pytest.approx(DOMAIN + LOOP)
    assert not data.window("chr7", 5000, 32 * BIN_BP).any()
    np.testing.assert_array_equal(data.window("chr1", 5000, 32 * BIN_BP, reverse=True), drawn[::-1, ::-1])


def test_the_loss_is_the_mean_square_over_measured_pairs() -> None:
    contacts = jnp.array([[1.0, 2.0], [3.0, 100.0]])[None, ..., None]
    measured = jnp.array([[[True, True], [True, False]]])
    assert contact_loss(contacts, jnp.zeros_like(contacts), measured) == pytest.approx((1 + 4 + 9) / 3)
    assert contact_loss(contacts, jnp.zeros_like(contacts), jnp.zeros_like(measured)) == 0


def test_evaluation_correlates_the_measured_pairs_above_the_diagonal(
    data: SyntheticContacts, annotation: Annotation
) -> None:
    config = CheckpointConfig(
        name="tiny",
        architecture=CONFIG,
        organisms=("human", "mouse"),
        window_bp=8 * BIN_BP,
        rotary_dtype="float32",
        license="test",
    )
    network = tiny_network()
    checkpoint = Checkpoint(config=config, network=network, tracks=tiny_tracks(), digest="")
    codes = np.random.default_rng(0).integers(0, 4, 64 * BIN_BP).astype(np.uint8)
    segments = [Segment(chrom=chrom, start0=5000, codes=codes) for chrom in ("chr1", "chr16")]
    held_out = TrainingData(
        segments=segments, annotation=annotation, tracks=None, contacts=data, test=("chr16",)
    )
    found = evaluate_contacts([checkpoint], held_out, 8 * BIN_BP)
    predicted, drawn, apart = [], [], []
    for start0 in range(5000, 5000 + 64 * BIN_BP, 8 * BIN_BP):
        pair = embed(network, segments[1].window(start0, 8 * BIN_BP)).pair
        contacts = np.asarray(network.heads[Output.CONTACT_MAPS](pair, 0))[0, ..., 0]
        first, second = np.triu_indices(8, k=1)
        predicted.append(contacts[first, second])
        drawn.append(data.window("chr16", start0, 8 * BIN_BP)[first, second, 0])
        apart.append(second - first)
    x, y, apart = (np.concatenate(each).astype(np.float64) for each in (predicted, drawn, apart))
    by_distance = [np.where(apart == d, 1, 0) for d in range(1, 8)]
    x_mean, y_mean = (sum(mask * each[mask == 1].mean() for mask in by_distance) for each in (x, y))
    assert found == {
        "windows": 8,
        "pearson": pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-3),
        "distance_only": pytest.approx(np.corrcoef(y_mean, y)[0, 1], abs=1e-3),
        "pearson_within_distance": pytest.approx(np.corrcoef(x - x_mean, y - y_mean)[0, 1], abs=1e-3),
    }


def test_the_track_is_labeled_as_drawn() -> None:
    tracks = contact_tracks()
    assert (tracks.output, len(tracks), tracks.biosample_name[0]) == (Output.CONTACT_MAPS, 1, "GM12878")
    assert tracks.assay[0] == "Hi-C loops and domains (drawn)"
    assert tracks.strand_partners.tolist() == [0]


def test_nearly_all_real_loops_and_domains_lift() -> None:
    bedpe = [need(f"data/GM12878_{kind}.hg19.bedpe") for kind in ("loops", "domains")]
    data = SyntheticContacts(*bedpe, need("data/hg19ToHg38.over.chain.gz"))
    lines = [sum(line[0] != "#" for line in path.read_text().splitlines()) for path in bedpe]
    placed = [sum(map(len, each.values())) for each in (data.loops, data.domains)]
    assert sum(lines) == sum(placed) + data.unlifted
    assert data.unlifted < 0.005 * sum(lines)
    drawn = data.window("chr16", 0, 1 << 20)
    np.testing.assert_array_equal(drawn, drawn.swapaxes(0, 1))
    assert drawn.max() > DOMAIN + LOOP / 2  # a loop within a domain, as most are
    assert np.isclose(drawn, INSULATED).mean() > 0.01
