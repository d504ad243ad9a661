"""Tests of the demo: its synthetic genome, and the verdicts and the report that it names."""

import csv
import itertools
import pathlib
import shutil
import subprocess
import sys

import pytest

DEMO = pathlib.Path(__file__).resolve().parents[1] / "examples" / "01_synthetic_demo"
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def run_script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(DEMO / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("demo")
    made = run_script("make_genome.py", path)
    assert made.returncode == 0, made.stderr
    return path


def read_sequence(folder: pathlib.Path) -> str:
    name, *lines = (folder / "synthetic.fa").read_text().splitlines()
    assert name.startswith(">synthetic1 SYNTHETIC")
    return "".join(lines)


def read_variants(folder: pathlib.Path) -> list[list[str]]:
    lines = (folder / "synthetic.vcf").read_text().splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def read_exons(folder: pathlib.Path) -> dict[tuple[str, str], list[tuple[int, int]]]:
    """Return the exons by transcript and strand, 0-based half-open, ascending."""
    exons: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for line in (folder / "synthetic.gtf").read_text().splitlines():
        columns = line.split("\t")
        if len(columns) == 9 and columns[2] == "exon":
            transcript = columns[8].split('transcript_id "')[1].split('"')[0]
            span = (int(columns[3]) - 1, int(columns[4]))
            exons.setdefault((transcript, columns[6]), []).append(span)
    return {key: sorted(spans) for key, spans in exons.items()}


def test_genome_is_the_same_every_time(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert run_script("make_genome.py", tmp_path).returncode == 0
    made = list(tmp_path.iterdir())
    assert "synthetic.fa" in {file.name for file in made}
    for file in made:
        assert file.read_bytes() == (folder / file.name).read_bytes(), file.name


def test_every_intron_is_gt_ag_on_its_strand(folder: pathlib.Path) -> None:
    sequence = read_sequence(folder)
    strands = set()
    for (_, strand), spans in read_exons(folder).items():
        strands.add(strand)
        for (_, start0), (end0, _) in itertools.pairwise(spans):
            intron = sequence[start0:end0]
            intron = intron if strand == "+" else intron.translate(COMPLEMENT)[::-1]
            assert (intron[:2], intron[-2:]) == ("GT", "AG")
    assert strands == {"+", "-"}


def test_refs_are_the_genome_except_the_one_that_should_not_be(folder: pathlib.Path) -> None:
    sequence = read_sequence(folder)
    variants = read_variants(folder)
    wrong = [
        name for _, pos, name, ref, *_ in variants if sequence[int(pos) - 1 : int(pos) - 1 + len(ref)] != ref
    ]
    assert wrong == [name for _, _, name, *_, info in variants if "REF_MISMATCH" in info] == ["wrong_ref"]


def test_created_sites_complete_the_consensus(folder: pathlib.Path) -> None:
    sequence = read_sequence(folder)
    changed = {}
    for _, pos, name, ref, alt, *_ in read_variants(folder):
        pos0 = int(pos) - 1
        changed[name] = sequence[pos0 - 30 : pos0] + alt + sequence[pos0 + len(ref) : pos0 + len(ref) + 30]
    assert "CAGGTAAGT" in changed["new_donor"]
    assert changed["new_acceptor"].translate(COMPLEMENT)[::-1][28:31] == "CAG"
    assert "CAGGTAAGT" in changed["donor_copy"]


def test_deep_intronic_controls_are_indels_too_and_far_from_every_site(folder: pathlib.Path) -> None:
    controls = {
        name: (int(pos) - 1, len(alt) - len(ref))
        for _, pos, name, ref, alt, _, _, info in read_variants(folder)
        if name.startswith("deep_intron") and info == "EXPECT=no_effect"
    }
    assert sorted(inserted_bp for _, inserted_bp in controls.values()) == [-1, 0, 0, 1]
    edges = [edge for spans in read_exons(folder).values() for span in spans for edge in span]
    for name, (pos0, _) in controls.items():
        assert min(abs(pos0 - edge) for edge in edges) >= 300, name


def write_scores(folder: pathlib.Path, target: pathlib.Path, effect: str, control: str) -> None:
    shutil.copy(folder / "synthetic.vcf", target)
    with open(target / "scored.tsv", "w", newline="") as lines:
        lines.write("##vepscoreVersion=0.1.0\n")
        writer = csv.writer(lines, delimiter="\t")
        writer.writerow(["id", "VS_STATUS", "VS_SPLICE", "VS_SS", "VS_SPLICE_GENE", "VS_RNA"])
        for _, _, name, _, _, _, _, info in read_variants(folder):
            expect = info.split(";")[0].removeprefix("EXPECT=")
            status = expect.removeprefix("status_") if expect.startswith("status_") else "OK"
            score = control if expect == "no_effect" else effect
            values = [score, score, "SYN1", "-0.75" if name == "deep_intron" else "0.5"]
            writer.writerow([name, status, *(values if status == "OK" else [""] * 4)])


def test_table_accepts_effects_above_controls(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    write_scores(folder, tmp_path, effect="1.5", control="0.01")
    shown = run_script("show.py", tmp_path)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "weakest effect 1.5, strongest control 0.01" in shown.stdout
    assert "largest of the other modalities: VS_RNA -0.7500 (deep_intron)" in shown.stdout


def test_last_line_says_where_the_report_is(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    write_scores(folder, tmp_path, effect="1.5", control="0.01")
    (tmp_path / "report.html").touch()
    shown = run_script("show.py", tmp_path)
    assert shown.stdout.endswith(f"for a browser: {tmp_path / 'report.html'}\n")


def test_demo_writes_its_report_from_its_scores() -> None:
    commands = (DEMO / "run.sh").read_text()
    assert 'vepscore report "$folder/scored.parquet"' in commands and '-o "$folder/report.html"' in commands


def test_table_refuses_effects_below_a_control(folder: pathlib.Path, tmp_path: pathlib.Path) -> None:
    write_scores(folder, tmp_path, effect="0.01", control="0.5")
    shown = run_script("show.py", tmp_path)
    assert shown.returncode == 1
    assert "NOT above every control" in shown.stdout
