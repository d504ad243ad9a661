"""`vepscore ism` as users run it: donors stand out, and what is missing is said."""

import os
import pathlib
import subprocess
import sys

import pandas as pd
import pytest

from tests.cli.commands import MAIN, ROOT, vepscore
from tests.cli.scoring import SCRIPT, Bench

DEMO = ROOT / "examples" / "01_synthetic_demo" / "make_genome.py"
DONOR1 = 72_986  # the first base of an intron of the demo's SYN1
FLANKS_BP = [
    pytest.param(10, marks=[pytest.mark.slow, pytest.mark.ci], id="20 bp"),
    pytest.param(100, marks=pytest.mark.slow, id="200 bp"),
]


@pytest.mark.parametrize("flank_bp", FLANKS_BP)
def test_donor_of_the_demo_stands_out(bench: Bench, tmp_path: pathlib.Path, flank_bp: int) -> None:
    subprocess.run([sys.executable, DEMO, tmp_path], check=True)
    region = f"synthetic1:{DONOR1 - flank_bp}-{DONOR1 + flank_bp - 1}"
    files = ["-r", "synthetic.fa", "-g", "synthetic.gtf", "-o", "out.parquet", "--picture", "out.png"]
    scorers = ["-s", "SPLICE_SITES", "-s", "SPLICE_SITE_USAGE", "--by", "VS_SPLICE"]
    done = subprocess.run(
        [SCRIPT, "ism", region, *files, *scorers, "--window", "16kb"],
        cwd=tmp_path,
        env=os.environ | bench.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and f"{2 * flank_bp} records, {6 * flank_bp} alternate alleles" in done.stderr
    table = pd.read_parquet(tmp_path / "out.parquet")
    sites = table[table["variant_scorer"] == "SPLICE_SITES"]
    assert len(sites) == 6 * flank_bp
    assert set(sites.groupby("pos")["raw_score"].mean().nlargest(2).index) == {DONOR1, DONOR1 + 1}
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_without_the_extra_it_says_what_to_install(tmp_path: pathlib.Path) -> None:
    program = f"import sys; sys.modules['matplotlib'] = None\n{MAIN}"
    options = ("-r", "absent.fa", "-o", str(tmp_path / "out.parquet"), "--picture", "out.png")
    done = vepscore("ism", "chr1:1-10", *options, "--window", "16kb", program=program)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: pictures are drawn with matplotlib, which is not installed\n"
        "  hint: pip install 'vepscore[plot]', or omit --picture\n"
    )
