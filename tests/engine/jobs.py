"""A job on the tiny genome, to be changed by the tests."""

from pathlib import Path

from tests.builders import WINDOW_BP, TinyGenome
from vepscore.engine.job import Job
from vepscore.engine.preparer import MismatchPolicy


def tiny_job(genome: TinyGenome, checkpoint: Path, source: Path, **changes: object) -> Job:
    """Scores `source` with the smallest window; without outputs, unless `changes` name them."""
    options = {
        "source": str(source),
        "reference": genome.fasta,
        "genes": genome.gtf,
        "polya": None,
        "outputs": (),
        "table": None,
        "background": None,
        "checkpoint": str(checkpoint),
        "metadata": None,
        "organism": "human",
        "window_bp": WINDOW_BP,
        "align_bp": 1,
        "strand": "+",
        "scorers": None,
        "precision": "float32",
        "rotary": "auto",
        "on_mismatch": MismatchPolicy.SKIP,
        "device": "auto",
        "batch": 1,
        "engine": "sparse",
        "split": "windows",
        "quantiles": None,
        "use_quantiles": True,
        "overwrite": False,
        "shard": None,
        "resume": True,
        "cluster": None,
        "summary": None,
        "command": ("vepscore", "score"),
    }
    return Job(**options | changes)
