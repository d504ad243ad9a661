"""Contact maps drawn from loops and domains: lifted, drawn, cut into windows, judged."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from tests.model.tiny import CONFIG, embed, tiny_network, tiny_tracks
from tests.paths import need
from vepscore.model.checkpoint import Checkpoint, CheckpointConfig
from vepscore.outputs import Output
from vepscore.train.contacts import (
    BIN_BP,
    DOMAIN,
    INSULATED,
    LOOP,
    ContactData,
    Lift,
    contact_tracks,
    draw_map,
)
from vepscore.train.data import Piece, Split, reverse_complement, split_of
from vepscore.train.evaluate import evaluate_contacts
from vepscore.train.losses import contact_loss

# chr1: the first Mb moves by 5,000; then 100,000 bases are lost. chr2 turns round. chr16 stays.
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
def data(tmp_path: Path, chain: Path) -> ContactData:
    """Loops and domains on chr1 and chr16, with no, and with a, prefix; one of each cannot be lifted."""
    loop = f"1\t{2 * BIN_BP}\t{3 * BIN_BP}\t1\t{20 * BIN_BP}\t{21 * BIN_BP}"
    lost = "1\t1000100\t1010100\t1\t1200000\t1210000"
    (tmp_path / "loops.bedpe").write_text(f"#columns color=11\n{loop}\t.\t0\n{lost}\t.\t0\n")
    rows = [("1", 2 * BIN_BP, 21 * BIN_BP), ("chr16", 0, 7 * BIN_BP), ("9", 1, 100_000)]
    (tmp_path / "domains.bedpe").write_text("".join(f"{c}\t{s}\t{e}\t{c}\t{s}\t{e}\n" for c, s, e in rows))
    rng = np.random.default_rng(0)
    pieces = [
        Piece(chrom=c, start0=5000, codes=rng.integers(0, 4, 64 * BIN_BP).astype(np.uint8))
        for c in ("chr1", "chr11", "chr16")
    ]
    pieces[0].codes[31 * BIN_BP] = 4
    return ContactData(pieces, tmp_path / "loops.bedpe", tmp_path / "domains.bedpe", chain, Split.TRAIN)


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
def test_an_interval_is_lifted_by_its_ends(chain: Path, interval: tuple, lifted: tuple | None) -> None:
    assert Lift(chain).interval(*interval) == lifted


def test_a_domain_is_a_square_that_its_ends_insulate() -> None:
    o, d, i = 0.0, DOMAIN, INSULATED
    np.testing.assert_array_equal(
        draw_map(0, 8, domains((2, 4)), NONE4)[..., 0],
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
    drawn = draw_map(0, 16, domains((2, 4), (0, 8)), NONE4)[..., 0]
    assert (drawn[:8, :8] == np.float32(DOMAIN)).all()
    assert (drawn[:8, 8:] == np.float32(INSULATED)).all()


def test_a_loop_is_a_peak_where_its_anchors_meet() -> None:
    anchors = np.array([[BIN_BP, 2 * BIN_BP, 5 * BIN_BP, 6 * BIN_BP]])
    drawn = draw_map(0, 8, NONE2, anchors)[..., 0]
    assert drawn[1, 5] == drawn[5, 1] == LOOP
    one_bin_off = np.exp(-2)  # two standard deviations of half an anchor each
    assert drawn[2, 5] == drawn[1, 4] == drawn[4, 1] == pytest.approx(LOOP * one_bin_off)
    assert drawn[2, 4] == pytest.approx(LOOP * one_bin_off**2)
    assert drawn[1, 1] == drawn[5, 5] == pytest.approx(0, abs=1e-6)


def test_a_loop_at_the_corner_of_a_domain_adds_to_it() -> None:
    anchors = np.array([[0, BIN_BP, 5 * BIN_BP, 6 * BIN_BP]])
    assert draw_map(0, 8, domains((0, 6)), anchors)[0, 5, 0] == DOMAIN + LOOP


def test_a_window_sees_its_part_of_the_chromosome() -> None:
    features = domains((3, 6), (10, 14)), np.array([[4 * BIN_BP, 5 * BIN_BP, 11 * BIN_BP, 12 * BIN_BP]])
    whole = draw_map(0, 16, *features)
    np.testing.assert_allclose(draw_map(4 * BIN_BP, 8, *features), whole[4:12, 4:12], atol=1e-6)
    np.testing.assert_array_equal(whole, whole.swapaxes(0, 1))


def test_what_cannot_be_lifted_is_counted_and_not_drawn(data: ContactData) -> None:
    assert data.unlifted == 2
    shifted = [2 * BIN_BP + 5000, 3 * BIN_BP + 5000, 20 * BIN_BP + 5000, 21 * BIN_BP + 5000]
    assert {chrom: rows.tolist() for chrom, rows in data.loops.items()} == {"chr1": [shifted]}
    assert {chrom: rows.tolist() for chrom, rows in data.domains.items()} == {
        "chr1": [[2 * BIN_BP + 5000, 21 * BIN_BP + 5000]],
        "chr16": [[0, 7 * BIN_BP]],
    }


def test_regions_lie_side_by_side_on_the_chromosomes_of_their_split(data: ContactData) -> None:
    origins = {
        split: [o for batch in data.region_batches(split, 32 * BIN_BP, batch=2) for o in batch.origins]
        for split in Split
    }
    assert {split: {o.chrom for o in each} for split, each in origins.items()} == {
        Split.TRAIN: {"chr1"}, Split.VALID: {"chr11"}, Split.TEST: {"chr16"},
    }  # fmt: skip
    assert [o.start0 for o in origins[Split.TEST]] == [5000, 5000 + 32 * BIN_BP]


def test_bins_with_unknown_bases_are_not_measured(data: ContactData) -> None:
    batch = next(data.region_batches(Split.TRAIN, 32 * BIN_BP))
    assert batch.measured[0, :31, :31].all()
    assert not batch.measured[0, 31].any() and not batch.measured[0, :, 31].any()
    assert batch.targets[0, 2, 20, 0] == pytest.approx(DOMAIN + LOOP)


def test_reversed_windows_flip_both_axes(data: ContactData) -> None:
    batch = data.sample_contacts(np.random.default_rng(1), 16, 32 * BIN_BP)
    assert {origin.reverse for origin in batch.origins} == {True, False}
    for i, origin in enumerate(batch.origins):
        assert split_of(origin.chrom) is Split.TRAIN
        codes = data.pieces[0].window(origin.start0, 32 * BIN_BP)
        target = draw_map(origin.start0, 32, data.domains["chr1"], data.loops["chr1"])
        known = (codes.reshape(32, BIN_BP) < 4).all(axis=1)
        if origin.reverse:
            codes, target, known = reverse_complement(codes), target[::-1, ::-1], known[::-1]
        np.testing.assert_array_equal(batch.codes[i], codes)
        np.testing.assert_array_equal(batch.measured[i], known[:, None] & known)
        np.testing.assert_array_equal(batch.targets[i], target * batch.measured[i, ..., None])


def test_a_window_wider_than_its_piece_holds_all_of_it(data: ContactData) -> None:
    batch = data.sample_contacts(np.random.default_rng(2), 4, 128 * BIN_BP)
    assert batch.codes.shape == (4, 128 * BIN_BP) and batch.targets.shape == (4, 128, 128, 1)
    assert ((batch.codes < 4).sum(axis=1) == 64 * BIN_BP - 1).all()
    assert (batch.targets[~batch.measured] == 0).all()


def test_a_split_without_long_pieces_is_refused(data: ContactData) -> None:
    with pytest.raises(
        ValueError, match="no piece of the train split fills half of a window of 1,048,576 bp"
    ):
        data.sample_contacts(np.random.default_rng(0), 1, 1 << 20)


def test_the_loss_is_the_mean_square_over_measured_pairs() -> None:
    contacts = jnp.array([[1.0, 2.0], [3.0, 100.0]])[None, ..., None]
    measured = jnp.array([[[True, True], [True, False]]])
    assert contact_loss(contacts, jnp.zeros_like(contacts), measured) == pytest.approx((1 + 4 + 9) / 3)
    assert contact_loss(contacts, jnp.zeros_like(contacts), jnp.zeros_like(measured)) == 0


def test_evaluation_correlates_the_measured_pairs_above_the_diagonal(data: ContactData) -> None:
    config = CheckpointConfig(
        name="tiny",
        architecture=CONFIG,
        organisms=("human", "mouse"),
        window_bp=8 * BIN_BP,
        rotary_dtype="float32",
        licence="test",
    )
    network = tiny_network()
    checkpoint = Checkpoint(config=config, network=network, tracks=tiny_tracks(), digest="")
    found = evaluate_contacts(checkpoint, data, 8 * BIN_BP)
    predicted, drawn, apart = [], [], []
    for batch in data.region_batches(Split.TEST, 8 * BIN_BP):
        pair = embed(network, batch.codes[0]).pair
        contacts = np.asarray(network.heads[Output.CONTACT_MAPS](pair, 0))[0, ..., 0]
        first, second = np.triu_indices(8, k=1)
        predicted.append(contacts[first, second])
        drawn.append(batch.targets[0, first, second, 0])
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


def test_the_track_says_that_it_is_drawn() -> None:
    tracks = contact_tracks()
    assert (tracks.output, len(tracks), tracks.biosample_name[0]) == (Output.CONTACT_MAPS, 1, "GM12878")
    assert tracks.assay[0] == "Hi-C loops and domains (drawn)"
    assert tracks.counterparts.tolist() == [0]


def test_nearly_all_real_loops_and_domains_have_a_place() -> None:
    bedpe = [need(f"data/GM12878_{kind}.hg19.bedpe") for kind in ("loops", "domains")]
    piece = Piece(chrom="chr16", start0=0, codes=np.zeros(3_000_000, np.uint8))
    data = ContactData([piece], *bedpe, need("data/hg19ToHg38.over.chain.gz"), Split.TEST)
    lines = [sum(line[0] != "#" for line in path.read_text().splitlines()) for path in bedpe]
    placed = [sum(map(len, each.values())) for each in (data.loops, data.domains)]
    assert sum(lines) == sum(placed) + data.unlifted
    assert data.unlifted < 0.005 * sum(lines)
    batch = next(data.region_batches(Split.TEST, 1 << 20))
    np.testing.assert_array_equal(batch.targets, batch.targets.swapaxes(1, 2))
    assert batch.targets.max() > DOMAIN + LOOP / 2  # a loop within a domain, as most are
    assert np.isclose(batch.targets, INSULATED).mean() > 0.01
