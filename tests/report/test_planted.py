"""The demo's planted variants, scored by the embedded checkpoint: their events, their exons and their order."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import ROOT, vepscore

pytestmark = [pytest.mark.slow, pytest.mark.ci]

DEMO = ROOT / "examples" / "01_synthetic_demo" / "make_genome.py"
EVENTS = {
    "new_donor": "pseudoexon",
    "new_acceptor": "pseudoexon",
    "donor_plus1": "exon skipping",
    "donor_plus1_minus_strand": "exon skipping",
}
CONTROLS = (
    "deep_intron",
    "deep_intron_minus_strand",
    "deep_intron_deletion",
    "deep_intron_insertion",
    "third_codon_base",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    subprocess.run([sys.executable, DEMO, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def planted(folder: Path) -> dict[str, str]:
    """The planted exon of each variant that makes or loses one."""
    lines = (folder / "synthetic.vcf").read_text().splitlines()
    columns = [line.split("\t") for line in lines if not line.startswith("#")]
    facts = {column[2]: dict(item.split("=") for item in column[7].split(";")) for column in columns}
    return {name: of["EXON"] for name, of in facts.items() if "EXON" in of}


@pytest.fixture(scope="module")
def ranked(folder: Path) -> list[dict[str, str]]:
    """The rows of `vepscore rank`, in their order."""
    genome = ("-r", str(folder / "synthetic.fa"), "-g", str(folder / "synthetic.gtf"))
    scorers = [f"--scorer=SPLICE_{name}" for name in ("SITES", "SITE_USAGE", "JUNCTIONS", "EVENTS")]
    scored, table = folder / "scored.vcf.gz", folder / "ranked.tsv"
    source = str(folder / "synthetic.vcf")
    for command in (
        ("score", source, *genome, "-o", str(scored), *scorers),
        ("rank", str(scored), "-g", str(folder / "synthetic.gtf"), "-o", str(table)),
    ):
        result = vepscore(*command)
        assert result.returncode == 0, result.stderr
    lines = [line for line in table.read_text().splitlines() if not line.startswith("##")]
    return list(csv.DictReader(lines, delimiter="\t"))


def test_planted_exons_are_made_and_lost(ranked: list[dict[str, str]], planted: dict[str, str]) -> None:
    rows = {row["id"]: row for row in ranked}
    assert {name: rows[name]["event"] for name in EVENTS} == EVENTS
    for name in EVENTS:
        assert planted[name] in rows[name]["event_in_words"], (name, rows[name]["event_in_words"])


def test_deleted_donor_is_lost(ranked: list[dict[str, str]], planted: dict[str, str]) -> None:
    (row,) = (row for row in ranked if row["id"] == "donor_deletion")
    donor = planted["donor_deletion"].split(":")[-1].split("-")[0]
    assert f"donor loss -1.00 at {donor}" in row["event_in_words"], row["event_in_words"]


@pytest.mark.xfail(
    strict=True, reason="a chance donor 83 bp into the intron gets 0.29; the teachers see it at 0.03"
)
def test_exon_without_its_donor_is_skipped(ranked: list[dict[str, str]]) -> None:
    (row,) = (row for row in ranked if row["id"] == "donor_deletion")
    assert row["event"] == "exon skipping"


def test_broken_acceptor_is_replaced_by_one_inside_its_exon(
    ranked: list[dict[str, str]], planted: dict[str, str]
) -> None:
    (row,) = (row for row in ranked if row["id"] == "acceptor_minus2")
    end = planted["acceptor_minus2"].split("-")[1]
    assert row["event"] == "cryptic site" and f"-{end};" in row["event_in_words"], row["event_in_words"]


def test_controls_do_nothing_and_come_last(ranked: list[dict[str, str]]) -> None:
    order = [row["id"] for row in ranked if row["rank"]]
    last = order[-len(CONTROLS) :]
    assert set(last) == set(CONTROLS)
    rows = {row["id"]: row for row in ranked}
    assert {rows[name]["event_in_words"] for name in CONTROLS} == {"no event"}
    assert order.index("acceptor_minus2") < order.index("donor_plus5") < order.index("deep_intron")
