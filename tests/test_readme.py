"""The README keeps up with the code: its fields, statuses and options, its commands, its scorer, its links."""

import gzip
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import numpy as np
import pandas as pd
import pytest
import typer.main

from tests.builders import HEADS, build_genome, tiny_network, tiny_tracks, vcf_row, write_vcf
from tests.cli.scoring import caches
from tests.hub_server import TOKEN, Hub, serving
from tests.official_checkpoint import write_metadata, write_official
from vepscore.cli.main import app
from vepscore.contract import ENTRY_POINT_GROUP, Site
from vepscore.genome.alleles import Allele, Status
from vepscore.genome.windows import window_around
from vepscore.io.fields import FIELDS
from vepscore.outputs import Output

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)

# A block is a shell session where its first word is one of these; all its lines are run but for those of NOT_RUN.
COMMANDS = ("make", "pip", "curl", "gunzip", "printf", "vepscore", "bcftools", "tabix", "python", "duckdb")
NOT_RUN = {
    "make": "CI itself runs the targets",
    "pip": "make has done it: these tests need the package installed",
    "curl": "no network here; small files of those names take the place of the downloads",
}
# What the test adds to a command, so that it is quick and asks nothing.
ADDED = {
    "vepscore score ": "--window 16kb ",
    "vepscore calibrate ": "--window 16kb ",
    "vepscore predict ": "--window 16kb ",
    "vepscore ism ": "--window 16kb ",
    "python -m vepscore.train.background ": "--snvs 12 --indels 3 ",
    "vepscore weights fetch ": "--accept-terms --metadata HUMAN.textproto --metadata MOUSE.textproto ",
}
EXAMPLE_VARIANTS = re.findall(r"(chr\w+)\\t(\d+)\\t\.\\t([ACGT]+)\\t([ACGT]+)", README)


def shell_lines() -> list[str]:
    """The lines of all shell sessions, in order."""
    sessions = [text for language, text in BLOCKS if not language and text.split()[0] in COMMANDS]
    return [line for text in sessions for line in text.replace("\\\n", "").splitlines() if line]


def test_every_info_field_is_explained():
    assert [field.id for field in FIELDS if f"`{field.id}`" not in README] == []


def test_every_status_is_explained():
    assert [status.value for status in Status if f"| `{status.value}` |" not in README] == []


def test_every_option_exists():
    main = typer.main.get_command(app)
    commands = [
        *(
            main.commands[name]
            for name in (
                "score",
                "calibrate",
                "predict",
                "ism",
                "merge",
                "rank",
                "report",
                "plot",
                "evaluate",
                "train",
            )
        ),
        *main.commands["weights"].commands.values(),
    ]
    options = {
        name
        for command in commands
        for option in command.params
        for name in (*option.opts, *option.secondary_opts)
    }
    assert set(re.findall(r"`(--?[a-z][a-z-]*)(?=[ `])", README)) <= options | {"--help"}


def test_every_extra_exists():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    mentioned = set(re.findall(r"`\.\[(\w+)\]`", README))
    assert mentioned and mentioned <= extras.keys()


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [line for line in shell_lines() if line.startswith("make ")] + re.findall(
        r"`(make [^`]+)`", README
    )
    mentioned = set(re.findall(r"\bmake (?:PYTHON=\S+ )?([a-z-]+)", "\n".join(texts)))
    assert {"demo", "test"} <= mentioned <= targets


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_link_leads_somewhere(link):
    assert (ROOT / link).exists()


def test_example_scorer_works():
    source = README.split("```python\n# site_loss.py\n")[1].split("```")[0]
    namespace = {}
    exec(source, namespace)
    scorer = namespace["SITE_LOSS"]

    allele = Allele(chrom="chr1", pos0=50_000, ref="G", alt="A")
    site = Site(allele=allele, window=window_around(allele, 16_384))
    footprint = scorer.footprint(site)
    reference = np.zeros((len(footprint.positions), 4), np.float32)
    reference[50, 0] = 0.75  # a donor where the variant is
    scores = scorer.score(reference, np.zeros_like(reference), footprint.masks)
    block = scorer.rows(scores, footprint, site, None)

    assert footprint.positions[50] == allele.pos0 - site.window.start0
    assert (block.scorer, block.output, block.genes) == ("SITE_LOSS", Output.SPLICE_SITES, (None,))
    np.testing.assert_array_equal(block.values, [[0.75, 0, 0, 0]])


def test_example_entry_point_is_the_scorer_of_the_example():
    settings = next(tomllib.loads(text) for language, text in BLOCKS if language == "toml")
    assert settings["project"]["entry-points"][ENTRY_POINT_GROUP] == {"SITE_LOSS": "site_loss:SITE_LOSS"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Files under the names that the commands use."""
    folder = tmp_path_factory.mktemp("readme")
    write_official(folder / "OFFICIAL", tiny_network())
    heads = {output: channels for output, (channels, _, _) in HEADS.items()}
    metadata = write_metadata(folder, dict.fromkeys(("human", "mouse"), tiny_tracks()), heads)
    for organism, path in metadata.items():
        path.rename(folder / f"{organism.upper()}.textproto")
    tiny = build_genome(folder)
    tiny.fasta.rename(folder / "genome.fa")
    (folder / "genes.gtf.gz").write_bytes(gzip.compress(tiny.gtf.read_bytes()))
    vcf = write_vcf(folder / "tiny.vcf", vcf_row("chr1", 14_199, 1, "~"))
    (folder / "in.vcf.gz").write_bytes(gzip.compress(vcf.read_bytes()))
    write_truth(folder / "truth.vcf.gz")
    for line in shell_lines():
        if line.startswith("curl "):
            name = line.rpartition("/")[2]
            write = write_genes if ".gtf" in name else write_chromosome
            write(folder / name)
    yield folder
    shutil.rmtree(folder)  # the chromosome is large


def adapted(line: str) -> str:
    """A command with what the test adds to it."""
    for command, options in ADDED.items():
        if line.startswith(command):
            return f"{command}{options}{line.removeprefix(command)}"
    return line


@pytest.fixture(scope="module")
def output(folder) -> str:
    """What the commands print, run one after another as they stand, but with the smallest window."""
    for tool in ("bash", "bcftools"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool} on the PATH")
    lines = [line for line in shell_lines() if line.split()[0] not in NOT_RUN]
    script = "\n".join(["set -euo pipefail", *map(adapted, lines)])
    path = os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]])
    with serving(Hub(repositories={"google/alphagenome-all-folds": folder / "OFFICIAL"})) as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "VEPSCORE_WEIGHTS": str(folder / "weights")}
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=os.environ | caches(folder / "caches") | environment | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.ci
class TestCommands:
    def test_query_shows_every_variant_of_the_example(self, output):
        lines = output.splitlines()
        for chrom, pos, ref, alt in EXAMPLE_VARIANTS:
            assert sum(line.startswith(f"{chrom}:{pos} {ref}>{alt} OK 0.") for line in lines) == 1

    def test_split_vep_shows_scores_and_pandas_a_table(self, output):
        _, pos, _, alt = EXAMPLE_VARIANTS[0]
        assert f"\n{pos} {alt} SPLICE_SITES ABCA4 " in output
        assert " raw_score " in output

    def test_variants_are_ranked_and_their_events_named(self, folder, output):
        lines = [line for line in (folder / "first.tsv").read_text().splitlines() if line[:2] != "##"]
        names, *rows = (line.split("\t") for line in lines)
        assert sorted(row[names.index("pos")] for row in rows) == sorted(
            pos for _, pos, *_ in EXAMPLE_VARIANTS
        )
        assert {row[names.index("event_gene")] for row in rows} == {"ABCA4"}

    def test_report_has_every_variant_of_the_example_and_pictures_are_drawn(self, folder, output):
        page = (folder / "report.html").read_text()
        for chrom, pos, ref, alt in EXAMPLE_VARIANTS:
            assert f"{chrom}:{pos} {ref}&gt;{alt}" in page
        assert '"predicted":[' in page
        assert (folder / "first.svg").stat().st_size > 10_000
        assert (folder / "variant.png").stat().st_size > 10_000

    def test_quantiles_are_written(self, folder, output):
        ranked = pd.read_parquet(folder / "ranked.parquet")
        quantiles = ranked.loc[ranked["variant_scorer"] == "SPLICE_SITES", "quantile_score"].dropna()
        assert len(quantiles) and quantiles.between(0, 1).all()
        assert [path.name for path in (folder / "quantiles").iterdir()] == [
            "quantiles-human-16384bp-float32.parquet"
        ]

    def test_files_are_there(self, folder, output):
        expected = {"in.vcf", "out.vcf.gz", "out.vcf.gz.tbi", "out.parquet", "out.tsv", "hg38.fa", "ours"}
        assert expected | {"evaluation.tsv"} <= {path.name for path in folder.iterdir()}

    def test_predicted_tracks_are_there(self, folder, output):
        names = {path.name for path in (folder / "variant").iterdir()}
        sites = {
            f"SPLICE_SITES.donor.plus.{allele}.bw" for allele in ("reference", "alternate", "difference")
        }
        assert sites | {"CONTACT_MAPS.npz", "prediction.json"} <= names
        assert {path.name.split(".")[0] for path in (folder / "tracks").glob("*.bw")} == {"RNA_SEQ"}

    def test_every_substitution_is_scored(self, folder, output):
        assert len(pd.read_parquet(folder / "ism.parquet").groupby(["pos", "alt"], observed=True)) == 12
        assert (folder / "ism.svg").stat().st_size > 10_000

    def test_evaluation_has_the_score_and_a_baseline(self, folder, output):
        rows = [line.split("\t") for line in (folder / "evaluation.tsv").read_text().splitlines()]
        values = {tuple(row[:3]): row[3:5] for row in rows if len(row) == 8}
        for predictor in ("VS_SPLICE", "distance"):
            assert values[predictor, "all", "auroc"] == ["4", "2"]


def write_chromosome(path: pathlib.Path) -> None:
    """A FASTA whose bases are known only around the variants of the example."""
    (chrom,) = {chrom for chrom, *_ in EXAMPLE_VARIANTS}
    first0 = min(int(pos) for _, pos, *_ in EXAMPLE_VARIANTS) - 10_000
    bases = np.random.default_rng(1).choice(list(b"ACGT"), 20_000).astype(np.uint8)
    for _, pos, ref, _ in EXAMPLE_VARIANTS:
        start = int(pos) - 1 - first0
        bases[start : start + len(ref)] = list(ref.encode())
    text = b">%s\n%s%s\n" % (chrom.encode(), b"N" * first0, bases.tobytes())
    path.write_bytes(gzip.compress(text, compresslevel=1))


def write_truth(path: pathlib.Path) -> None:
    """A VCF of the tiny genome, labelled: two canonical splice bases, and two bases deep in an intron."""
    labelled = {12_300: "Pathogenic", 13_000: "Benign", 13_998: "Likely_pathogenic", 16_200: "Likely_benign"}
    lines = [
        "##fileformat=VCFv4.2",
        '##INFO=<ID=CLNSIG,Number=.,Type=String,Description="Classification">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
        *(
            "\t".join([*vcf_row("chr1", pos0, 1, "~"), ".", ".", f"CLNSIG={label}"])
            for pos0, label in labelled.items()
        ),
    ]
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def write_genes(path: pathlib.Path) -> None:
    """A GTF with one gene around the variants of the example."""
    chrom, pos, *_ = EXAMPLE_VARIANTS[0]
    names = 'gene_id "ENSG00000198691.14"; gene_type "protein_coding"; gene_name "ABCA4";'
    exons = [(int(pos) + start, int(pos) + start + 199) for start in (-4_000, -1_000, 2_000)]
    spans = [
        ("gene", exons[0][0], exons[-1][1], names),
        ("transcript", exons[0][0], exons[-1][1], f'{names} transcript_id "ENST00000370225.4";'),
        *(("exon", start1, end1, f'{names} transcript_id "ENST00000370225.4";') for start1, end1 in exons),
    ]
    lines = [
        f"{chrom}\tHAVANA\t{kind}\t{start1}\t{end1}\t.\t-\t.\t{tags}\n" for kind, start1, end1, tags in spans
    ]
    path.write_bytes(gzip.compress("".join(lines).encode()))
