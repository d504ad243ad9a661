"""A tenth of the steps of the first recipe of the embedded checkpoint, on the real data, reaches known metrics."""

from pathlib import Path

import pytest
from evaluate_held_out import evaluate_splice_sites
from synthetic_contacts import read_contacts

from tests.paths import need
from tests.train.scripts import TRAINING, run_script
from vepscore.model.checkpoint import load_checkpoint
from vepscore.train.recipe import read_recipe
from vepscore.train.training_data import read_data

RECIPE = TRAINING / "first.toml"
AUPRC = {"donor": 0.42, "acceptor": 0.53}  # on chr17, which the first teacher excludes
TOLERANCE = 0.1  # for another machine's rounding; on one machine the bytes are the same


@pytest.mark.slow
def test_a_short_run_reaches_known_metrics(tmp_path: Path) -> None:
    folder = need("data/tracks_32bp.npz").parent
    options = ("--teacher", "1", "--fraction", "0.1")
    done = run_script("train_embedded.py", RECIPE, folder, "-o", tmp_path, *options)
    assert done.returncode == 0, done.stderr
    splice = read_data(read_recipe(RECIPE), folder, read_contacts).splice_on(["chr17"])
    figures = evaluate_splice_sites([load_checkpoint(tmp_path / "teacher-1")], splice, 16_384)
    found = {kind: figure["auprc"] for kind, figure in figures["everywhere"].items()}
    assert found == pytest.approx(AUPRC, abs=TOLERANCE)
