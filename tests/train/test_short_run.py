"""A tenth of the first run of the embedded checkpoint's recipe, on the real data: figures near those known."""

from pathlib import Path

import pytest

from tests.cli.commands import ROOT, vepscore
from tests.paths import need
from vepscore.model.checkpoint import load_checkpoint
from vepscore.train.evaluate import evaluate_splice_sites
from vepscore.train.recipe import read_recipe
from vepscore.train.run import read_data

RECIPE = ROOT / "examples" / "06_training" / "first.toml"
AUPRC = {"donor": 0.42, "acceptor": 0.53}  # on chr17, which the first teacher leaves out
TOLERANCE = 0.1  # for another machine's rounding; on one machine the bytes are the same


@pytest.mark.slow
def test_a_short_run_reaches_what_it_reached_before(tmp_path: Path) -> None:
    folder = need("data/tracks_32bp.npz").parent
    options = ("--teacher", "1", "--share", "0.1")
    done = vepscore("train", str(RECIPE), str(folder), "-o", str(tmp_path), *options)
    assert done.returncode == 0, done.stderr
    splice = read_data(read_recipe(RECIPE), folder).splice_on(["chr17"])
    figures = evaluate_splice_sites([load_checkpoint(tmp_path / "teacher-1")], splice, 16_384)
    found = {kind: figure["auprc"] for kind, figure in figures["everywhere"].items()}
    assert found == pytest.approx(AUPRC, abs=TOLERANCE)
