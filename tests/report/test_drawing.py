"""`vepscore plot`: the picture as a file, the same bytes each time, and what it says when it cannot draw."""

import re
from pathlib import Path

import matplotlib
import pytest

from tests.cli.commands import vepscore
from tests.report.reports import WITHOUT, planted_signals, ranking_of
from tests.report.scored import Scored, write_scored
from vepscore.genome.annotation import Annotation
from vepscore.io.figures import FigureWriter
from vepscore.report.document import collect_alleles
from vepscore.report.drawing import draw_scene
from vepscore.report.gene_model import Interval
from vepscore.report.scene import Scene


@pytest.fixture(scope="module")
def scored(tmp_path_factory) -> Scored:
    return write_scored(tmp_path_factory.mktemp("scored"))


@pytest.fixture(scope="module")
def scene(scored, tmp_path_factory) -> Scene:
    ranking = ranking_of(scored.parquet, scored.gtf)
    genes = Annotation.from_gtf(scored.gtf, tmp_path_factory.mktemp("cache"))
    return collect_alleles(str(scored.parquet), ranking, genes, planted_signals(ranking))[0].scene


def save(scene: Scene, path: Path, view: Interval | None = None) -> bytes:
    with FigureWriter(path) as writer:
        writer.write(lambda: draw_scene(scene, view))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_same_bytes_each_time(scene, tmp_path, suffix):
    assert save(scene, tmp_path / f"a.{suffix}") == save(scene, tmp_path / f"b.{suffix}")


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_style_of_the_process_changes_no_byte_and_stays(scene, tmp_path, suffix):
    expected = save(scene, tmp_path / f"a.{suffix}")
    style = {"text.usetex": True, "axes.facecolor": "black", "savefig.dpi": 30, "svg.fonttype": "none"}
    with matplotlib.rc_context(style | {"font.size": 30, "savefig.bbox": "tight", "svg.hashsalt": "other"}):
        before = dict(matplotlib.rcParams)
        assert save(scene, tmp_path / f"b.{suffix}") == expected
        assert dict(matplotlib.rcParams) == before


def test_notebook_environment_changes_no_byte(scored, tmp_path):
    """Its backend is not installed here, and its style needs LaTeX."""
    rc_file = tmp_path / "matplotlibrc"
    rc_file.write_text("text.usetex: True\naxes.facecolor: black\nfont.size: 30\n")
    notebook = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": str(rc_file)}
    for output, environment in (("a.png", {}), ("b.png", notebook)):
        options = (str(scored.vcf), "-g", str(scored.gtf), "-o", str(tmp_path / output))
        done = vepscore("plot", *options, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_lanes_and_numbers(scene):
    figure = draw_scene(scene)
    assert [axes.get_ylabel().split("\n")[0] for axes in figure.axes] == [
        *("junctions", "splice sites", "site changes", "", "DNASE")
    ]
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"1.25", "D 0.90", "0.10", "acceptor loss -0.75", "donor gain +0.125"} <= texts


def test_view_has_one_based_positions(scene):
    figure = draw_scene(scene, Interval(1990, 2010))
    assert figure.axes[-1].get_xlim() == (1990.5, 2010.5)


def test_a_place_of_a_scored_file(scored, tmp_path):
    output = tmp_path / "a.svg"
    done = vepscore("plot", str(scored.vcf), "-g", str(scored.gtf), "--place", "2", "-o", str(output))
    assert done.returncode == 0, done.stderr
    assert re.search(r"<!-- chr1:3050 A(&gt;|>)G -->", output.read_text())
    done = vepscore("plot", str(scored.vcf), "--place", "9", "-o", str(output))
    assert done.returncode == 2 and "has 3 alleles with a VS_SPLICE" in done.stderr


def test_what_cannot_be_drawn(scored, tmp_path):
    done = vepscore("plot", "chr1:2001:A>C", "-o", str(tmp_path / "a.svg"))
    assert done.returncode == 2 and "there is no reference" in done.stderr
    done = vepscore("plot", str(scored.vcf), "-o", str(tmp_path / "a.pdf"))
    assert done.returncode == 2 and "expected a name that ends in .svg or .png" in done.stderr
    done = vepscore("plot", str(scored.vcf), "-o", "a.svg", program=WITHOUT.format(module="matplotlib"))
    assert done.returncode == 2 and "pip install 'vepscore[plot]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
