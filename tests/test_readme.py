"""The documentation keeps up with the code: its commands run, and its fields, statuses, options and links exist."""

import gzip
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pysam
import pytest

from tests import cli_reference
from tests.builders import HEADS, build_genome, tiny_network, tiny_tracks, vcf_row
from tests.cli.scoring import caches
from tests.hub_server import TOKEN, Hub, serving
from tests.official_checkpoint import write_metadata, write_official
from tests.train.toy import write_toy
from vepscore.contract import Site
from vepscore.genome.alleles import Allele, Status
from vepscore.genome.windows import window_around
from vepscore.io.fields import FIELDS
from vepscore.outputs import Output
from vepscore.plugins import NETWORKS, SCORERS

ROOT = Path(__file__).resolve().parents[1]
FRONT, CARD = ROOT / "README.md", ROOT / "weights" / "vepscore-small" / "README.md"
# In this order their commands are run, as a reader would: the front page first.
PAGES = (
    FRONT,
    *(ROOT / folder / "README.md" for folder in ("scorers", "weights", "examples", "vepscore", "tests")),
    ROOT / "vepscore" / "networks" / "README.md",
    ROOT / "tests" / "networks" / "expected" / "README.md",
    cli_reference.PAGE,
    CARD,
    CARD.with_name("HISTORY.md"),
    ROOT / ".github" / "CONTRIBUTING.md",
)
TEXTS = {path: path.read_text(encoding="utf-8") for path in PAGES}
MAX_LINES = {FRONT: 200, CARD: 150}


class Block(NamedTuple):
    """A block of code in a page."""

    page: Path
    language: str  # "" for shell sessions and what they print
    text: str


BLOCKS = [
    Block(page, *found)
    for page, text in TEXTS.items()
    for found in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]

COMMANDS = ("make", "pip", "curl", "gunzip", "printf", "vepscore", "bcftools", "python", "vep")
PRINTED = ("variant",)  # the first word of what a command prints
NOT_RUN = {
    "make ": "CI itself runs the targets",
    "pip ": "make has done it: these tests need the package installed",
    "curl ": "no network here; small files of those names take the place of the downloads",
    "vep ": "needs VEP, its plug-ins and its cache",
    "python examples/06_training/evaluate_": "tests/train runs it on a small genome",
}
TRAINING = "python examples/06_training/train_embedded.py "  # takes minutes, so it has a test of its own
# What the test adds to a command, so that it is quick and asks nothing.
ADDED = {
    "vepscore score ": "--window 16kb ",
    "vepscore calibrate ": "--window 16kb ",
    "vepscore predict ": "--window 16kb ",
    "vepscore ism ": "--window 16kb ",
    "python examples/06_training/draw_background.py ": "--snvs 12 --indels 3 ",
    "vepscore weights fetch ": "--accept-terms --metadata HUMAN.textproto --metadata MOUSE.textproto ",
}
EXAMPLE_VARIANTS = re.findall(r"(chr\w+)\\t(\d+)\\t\.\\t([ACGT]+)\\t([ACGT]+)", TEXTS[FRONT])


def python_block(page: Path, start: str) -> str:
    """Return the only Python block of the page that starts so."""
    (found,) = [
        block.text
        for block in BLOCKS
        if block.page == page and block.language == "python" and block.text.startswith(start)
    ]
    return found


def shell_lines() -> list[str]:
    """Return the lines of all shell sessions, in order; a line that several pages have, once."""
    sessions = [block.text for block in BLOCKS if not block.language and block.text.split()[0] in COMMANDS]
    return list(
        dict.fromkeys(line for text in sessions for line in text.replace("\\\n", "").splitlines() if line)
    )


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.M | re.S), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKS = sorted(
    {
        (page, link)
        for page, text in TEXTS.items()
        for link in re.findall(r"\]\(([^)]+)\)", text)
        if not link.startswith("https:")
    }
)


def test_every_page_is_tested() -> None:
    folders = [ROOT / name for name in (".github", "examples", "scorers", "tests", "vepscore", "weights")]
    found = {path for folder in folders for path in folder.rglob("*.md") if not path.parent.is_symlink()}
    assert {path for path in found if "templates" not in path.parts} <= set(PAGES)


@pytest.mark.parametrize("page", MAX_LINES, ids=lambda page: page.parent.name)
def test_page_is_short(page: Path) -> None:
    assert len(TEXTS[page].splitlines()) <= MAX_LINES[page]


def test_every_block_is_a_session_of_known_commands_or_what_one_prints() -> None:
    unknown = [
        line
        for block in BLOCKS
        if not block.language and not block.text.startswith(PRINTED)
        for line in block.text.replace("\\\n", "").splitlines()
        if line and line.split()[0] not in COMMANDS
    ]
    assert unknown == []


def test_every_info_field_is_explained() -> None:
    page = TEXTS[ROOT / "scorers" / "README.md"]
    assert [field.id for field in FIELDS if f"`{field.id}`" not in page] == []


def test_every_status_is_explained() -> None:
    page = TEXTS[ROOT / "scorers" / "README.md"]
    assert [status.value for status in Status if f"| `{status.value}` |" not in page] == []


def test_every_option_exists() -> None:
    mentioned = {name for text in TEXTS.values() for name in re.findall(r"`(--?[a-z][a-z-]*)(?=[ `])", text)}
    assert mentioned <= cli_reference.option_names() | {"--help"}


def test_reference_of_the_command_line_is_current() -> None:
    assert TEXTS[cli_reference.PAGE] == cli_reference.reference(), "run `make reference`"


def test_every_extra_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    mentioned = {name for text in TEXTS.values() for name in re.findall(r"\.\[(\w+)\]", text)}
    assert mentioned == extras.keys()


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [line for line in shell_lines() if line.startswith("make ")]
    texts += [found for text in TEXTS.values() for found in re.findall(r"`(make [^`]+)`", text)]
    mentioned = set(re.findall(r"\bmake (?:[A-Z]+=\S+ )?([a-z-]+)", "\n".join(texts)))
    assert {"demo", "test"} <= mentioned <= targets


@pytest.mark.parametrize(
    ("page", "link"), LINKS, ids=[f"{page.relative_to(ROOT)}: {link}" for page, link in LINKS]
)
def test_link_leads_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


def test_example_scorer_works() -> None:
    namespace: dict[str, object] = {}
    exec(python_block(ROOT / "scorers" / "README.md", "# site_loss.py\n"), namespace)
    scorer = namespace["SITE_LOSS"]

    allele = Allele(chrom="chr1", pos0=50_000, ref="G", alt="A")
    site = Site(allele=allele, window=window_around(allele, 16_384))
    footprint = scorer.footprint(site)
    reference = np.zeros((len(footprint.positions), 4), np.float32)
    reference[50, 0] = 0.75  # a donor where the variant is
    scores = scorer.score(reference, np.zeros_like(reference), footprint.masks)
    matrix = scorer.rows(scores, footprint, site, None)

    assert footprint.positions[50] == allele.pos0 - site.window.start0
    assert (matrix.scorer, matrix.output, matrix.genes) == ("SITE_LOSS", Output.SPLICE_SITES, (None,))
    np.testing.assert_array_equal(matrix.values, [[0.75, 0, 0, 0]])


def test_example_entry_point_is_the_scorer_of_the_example() -> None:
    found = entry_points_of(ROOT / "scorers" / "README.md")[SCORERS.name]
    assert found == {"SITE_LOSS": "site_loss:SITE_LOSS"}


def test_example_family_is_that_of_the_plugin() -> None:
    found = entry_points_of(ROOT / "vepscore" / "networks" / "README.md")[NETWORKS.name]
    assert found == {"motifs": "motif_networks:FAMILY"}
    assert (ROOT / "tests" / "networks" / "plugin" / "motif_networks.py").is_file()


def entry_points_of(page: Path) -> dict[str, dict[str, str]]:
    """Return the entry points of the page's example of a `pyproject.toml`."""
    (text,) = [block.text for block in BLOCKS if block.language == "toml" and block.page == page]
    return tomllib.loads(text)["project"]["entry-points"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write files under the names that the commands use."""
    folder = tmp_path_factory.mktemp("readme")
    write_official(folder / "OFFICIAL", tiny_network())
    heads = {output: channels for output, (channels, _, _) in HEADS.items()}
    metadata = write_metadata(folder, dict.fromkeys(("human", "mouse"), tiny_tracks()), heads)
    for organism, path in metadata.items():
        path.rename(folder / f"{organism.upper()}.textproto")
    tiny = build_genome(folder)
    tiny.fasta.rename(folder / "genome.fa")
    (folder / "genes.gtf.gz").write_bytes(gzip.compress(tiny.gtf.read_bytes()))
    write_truth(folder / "truth.vcf.gz", "chr1")
    write_data(folder)
    for line in shell_lines():
        if line.startswith("curl "):
            name = line.rpartition("/")[2]
            write = write_genes if ".gtf" in name else write_chromosome
            write(folder / name)
    yield folder
    shutil.rmtree(folder)  # the chromosome is large


def adapted(line: str) -> str:
    """Return a command with what the test adds to it."""
    for command, options in ADDED.items():
        if line.startswith(command):
            return f"{command}{options}{line.removeprefix(command)}"
    return line


@pytest.fixture(scope="module")
def output(folder: Path) -> str:
    """Return what the commands print, run one after another as they are, but with the smallest window."""
    for tool in ("bash", "bcftools"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool} on the PATH")
    lines = [line for line in shell_lines() if not line.startswith((*NOT_RUN, TRAINING))]
    script = "\n".join(["set -euo pipefail", *map(adapted, lines)])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    with serving(Hub(repositories={"google/alphagenome-all-folds": folder / "OFFICIAL"})) as hub:
        environment = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "VEPSCORE_WEIGHTS": str(folder / "mine")}
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
    def test_query_shows_every_variant_of_the_example(self, output: str) -> None:
        lines = output.splitlines()
        for chrom, pos, ref, alt in EXAMPLE_VARIANTS:
            assert sum(line.startswith(f"{chrom}:{pos} {ref}>{alt} OK 0.") for line in lines) == 1

    def test_lines_of_python_score_a_variant(
        self, folder: Path, output: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder)
        names: dict[str, object] = {}
        exec(python_block(FRONT, "import vepscore"), names)
        assert isinstance(names["frame"], pd.DataFrame) and set(names["frame"]["status"]) == {"OK"}

    def test_split_vep_shows_scores_and_pandas_a_table(self, output: str) -> None:
        _, pos, _, alt = EXAMPLE_VARIANTS[0]
        assert f"\n{pos} {alt} SPLICE_SITES ABCA4 " in output
        assert " raw_score " in output

    def test_variants_are_ranked_and_their_events_named(self, folder: Path, output: str) -> None:
        lines = [line for line in (folder / "ranked.tsv").read_text().splitlines() if line[:2] != "##"]
        names, *rows = (line.split("\t") for line in lines)
        assert sorted(row[names.index("pos")] for row in rows) == sorted(
            pos for _, pos, *_ in EXAMPLE_VARIANTS
        )
        assert {row[names.index("event_gene")] for row in rows} == {"ABCA4"}

    def test_report_has_every_variant_of_the_example_and_pictures_are_drawn(
        self, folder: Path, output: str
    ) -> None:
        page = (folder / "report.html").read_text()
        for chrom, pos, ref, alt in EXAMPLE_VARIANTS:
            assert f"{chrom}:{pos} {ref}&gt;{alt}" in page
        assert ">ABCA4" in (folder / "strongest.svg").read_text()
        assert (folder / "variant.png").stat().st_size > 10_000

    def test_quantiles_are_written(self, folder: Path, output: str) -> None:
        table = pd.read_parquet(folder / "calibrated.parquet")
        quantiles = table.loc[table["variant_scorer"] == "SPLICE_SITES", "quantile_score"].dropna()
        assert len(quantiles) and quantiles.between(0, 1).all()
        assert [path.name for path in (folder / "quantiles").iterdir()] == [
            "quantiles-human-16384bp-float32.parquet"
        ]

    def test_files_are_there(self, folder: Path, output: str) -> None:
        expected = {"in.vcf", "out.vcf.gz", "out.vcf.gz.tbi", "out.parquet", "out.tsv", "hg38.fa", "ours"}
        assert expected | {"evaluation.tsv", "merged.vcf.gz"} <= {path.name for path in folder.iterdir()}

    def test_predicted_tracks_are_there(self, folder: Path, output: str) -> None:
        names = {path.name for path in (folder / "variant").iterdir()}
        sites = {
            f"SPLICE_SITES.donor.plus.{allele}.bw" for allele in ("reference", "alternate", "difference")
        }
        assert sites | {"CONTACT_MAPS.npz", "prediction.json"} <= names
        assert {path.name.split(".")[0] for path in (folder / "tracks").glob("*.bw")} == {"RNA_SEQ"}

    def test_every_substitution_is_scored(self, folder: Path, output: str) -> None:
        assert len(pd.read_parquet(folder / "ism.parquet").groupby(["pos", "alt"], observed=True)) == 12
        assert (folder / "ism.svg").stat().st_size > 10_000

    def test_evaluation_has_the_score_and_a_baseline(self, folder: Path, output: str) -> None:
        rows = [line.split("\t") for line in (folder / "evaluation.tsv").read_text().splitlines()]
        values = {tuple(row[:3]): row[3:5] for row in rows if len(row) == 8}
        for predictor in ("VS_SPLICE", "distance"):
            assert values[predictor, "all", "auroc"] == ["4", "2"]


@pytest.mark.slow
def test_teachers_and_a_student_are_trained(folder: Path) -> None:
    (line,) = [line for line in shell_lines() if line.startswith(TRAINING)]
    subprocess.run([sys.executable, *line.split()[1:]], cwd=folder, check=True)
    networks = {path.parent.name for path in (folder / "build" / "first").glob("*/config.json")}
    assert {"teacher-1", "teacher-2", "student"} <= networks


def write_chromosome(path: Path) -> None:
    """Write a FASTA whose bases are known only around the variants of the example."""
    (chrom,) = {chrom for chrom, *_ in EXAMPLE_VARIANTS}
    first0 = min(int(pos) for _, pos, *_ in EXAMPLE_VARIANTS) - 10_000
    bases = np.random.default_rng(1).choice(list(b"ACGT"), 20_000).astype(np.uint8)
    for _, pos, ref, _ in EXAMPLE_VARIANTS:
        start = int(pos) - 1 - first0
        bases[start : start + len(ref)] = list(ref.encode())
    text = b">%s\n%s%s\n" % (chrom.encode(), b"N" * first0, bases.tobytes())
    path.write_bytes(gzip.compress(text, compresslevel=1))


def write_data(folder: Path) -> None:
    """Write small files in DATA that the card and the cookbook name, and a recipe of a small network."""
    data, recipes = folder / "DATA", folder / "examples" / "06_training"
    data.mkdir()
    recipes.mkdir(parents=True)
    for script in (ROOT / "examples" / "06_training").glob("*.py"):
        (recipes / script.name).symlink_to(script)
    tiny = build_genome(data, ("chr16", "chr2", "chr3"))
    for name in ("hg38_native.fa.gz", "hg38_slices.fa.gz"):
        pysam.tabix_compress(str(tiny.fasta), str(data / name))
    genes = re.sub(r"^chr1\t", "chr16\t", tiny.gtf.read_text(), flags=re.MULTILINE)
    (data / "refseq_hg38.gtf.gz").write_bytes(gzip.compress(genes.encode()))
    write_truth(data / "clinvar_2016.hg38.vcf.gz", "chr16")
    write_toy(data)
    shutil.copy(data / "recipe.toml", recipes / "first.toml")


def write_truth(path: Path, chrom: str) -> None:
    """Write a labeled VCF of the tiny genome's chr1, called `chrom`: two canonical splice bases, two intronic ones."""
    labelled = {12_300: "Pathogenic", 13_000: "Benign", 13_998: "Likely_pathogenic", 16_200: "Likely_benign"}
    lines = [
        "##fileformat=VCFv4.2",
        '##INFO=<ID=CLNSIG,Number=.,Type=String,Description="Classification">',
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO",
        *(
            "\t".join([chrom, *vcf_row("chr1", pos0, 1, "~")[1:], ".", ".", f"CLNSIG={label}"])
            for pos0, label in labelled.items()
        ),
    ]
    path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))


def write_genes(path: Path) -> None:
    """Write a GTF with one gene around the variants of the example."""
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
