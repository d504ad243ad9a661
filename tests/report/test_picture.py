"""`vepscore plot`: the picture as a file, the same bytes each time, and what it says when it cannot draw."""

import dataclasses
import xml.etree.ElementTree
from pathlib import Path

import matplotlib
import pytest

from tests.cli.commands import vepscore
from tests.report.reports import WITHOUT, planted_signals, ranking_of
from tests.report.scored import Scored, write_scored
from vepscore.genome.annotation import Annotation
from vepscore.io.drawing import DrawingWriter, Label, Stroke, to_svg
from vepscore.report.document import collect_alleles
from vepscore.report.gene_model import Interval
from vepscore.report.picture import LEFT, RIGHT, draw_picture
from vepscore.report.scene import Scene


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    return write_scored(tmp_path_factory.mktemp("scored"))


@pytest.fixture(scope="module")
def scene(scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    ranking = ranking_of(scored.parquet, scored.gtf)
    genes = Annotation.from_gtf(scored.gtf, tmp_path_factory.mktemp("cache"))
    return collect_alleles(str(scored.parquet), ranking, genes, planted_signals(ranking))[0].scene


def save(scene: Scene, path: Path, view: Interval | None = None) -> bytes:
    with DrawingWriter(path) as writer:
        writer.write(draw_picture(scene, view))
    return path.read_bytes()


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_bytes_each_time(scene: Scene, tmp_path: Path, suffix: str) -> None:
    assert save(scene, tmp_path / f"a.{suffix}") == save(scene, tmp_path / f"b.{suffix}")


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_style_of_the_process_changes_no_byte_and_stays(scene: Scene, tmp_path: Path, suffix: str) -> None:
    expected = save(scene, tmp_path / f"a.{suffix}")
    style = {"text.usetex": True, "axes.facecolor": "black", "savefig.dpi": 30, "svg.fonttype": "none"}
    with matplotlib.rc_context(style | {"font.size": 30, "savefig.bbox": "tight", "svg.hashsalt": "other"}):
        before = dict(matplotlib.rcParams)
        assert save(scene, tmp_path / f"b.{suffix}") == expected
        assert dict(matplotlib.rcParams) == before


def test_notebook_environment_changes_no_byte(scored: Scored, tmp_path: Path) -> None:
    """Its backend is not installed here, and its style needs LaTeX."""
    rc_file = tmp_path / "matplotlibrc"
    rc_file.write_text("text.usetex: True\naxes.facecolor: black\nfont.size: 30\n")
    notebook = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": str(rc_file)}
    for output, environment in (("a.png", {}), ("b.png", notebook)):
        options = (str(scored.vcf), "-g", str(scored.gtf), "-o", str(tmp_path / output))
        done = vepscore("plot", *options, environment=environment)
        assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def texts(scene: Scene, view: Interval | None = None) -> set[str]:
    return {shape.text for shape in draw_picture(scene, view).shapes if isinstance(shape, Label)}


def test_lanes_and_numbers(scene: Scene) -> None:
    lanes = {"junctions", "splice sites", "site changes", "Main ▸", "DNASE", "reference", "not predicted"}
    numbers = {"1.25", "D 0.90", "0.10", "acceptor loss -0.75", "donor gain +0.125"}
    assert lanes | numbers <= texts(scene, scene.extent)


def test_view_has_one_based_positions(scene: Scene) -> None:
    assert {"1,995", "2,005"} <= texts(scene, Interval(1990, 2010))


def test_what_is_to_scale_lies_within_the_edges(scene: Scene) -> None:
    strokes = [
        shape for shape in draw_picture(scene, Interval(2400, 2600)).shapes if isinstance(shape, Stroke)
    ]
    assert all(LEFT - 20 <= x <= RIGHT + 20 for stroke in strokes for part in stroke.parts for x, _ in part)


def test_texts_of_the_input_are_escaped_in_svg(scene: Scene) -> None:
    hostile = dataclasses.replace(scene, name='<script>"&\x01', notes=("<b>",))
    svg = to_svg(draw_picture(hostile))
    assert "<script" not in svg and "<b>" not in svg
    root = xml.etree.ElementTree.fromstring(svg)
    assert '<script>"&\N{REPLACEMENT CHARACTER}' in {element.text for element in root.iter()}


def test_an_allele_is_chosen_by_its_rank(scored: Scored, tmp_path: Path) -> None:
    output = tmp_path / "a.svg"
    options = (str(scored.vcf), "-g", str(scored.gtf), "-o", str(output))
    done = vepscore("plot", *options, "--rank", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert "<title>chr1:3050 A&gt;G</title>" in output.read_text()
    old = vepscore("plot", *options, "--place", "1")
    assert (old.returncode, old.stderr) == (
        0,
        "warning: --place is now called --rank; the former name will be removed\n",
    )
    assert "<title>chr1:2001 A&gt;C</title>" in output.read_text()
    done = vepscore("plot", str(scored.vcf), "--rank", "9", "-o", str(output))
    assert done.returncode == 2 and "has 3 alleles with a VS_SPLICE" in done.stderr


def test_what_cannot_be_drawn(scored: Scored, tmp_path: Path) -> None:
    done = vepscore("plot", "chr1:2001:A>C", "-o", str(tmp_path / "a.svg"))
    assert done.returncode == 2 and "predictions, which need a reference" in done.stderr
    done = vepscore("plot", str(scored.vcf), "-o", str(tmp_path / "a.gif"))
    assert done.returncode == 2 and "expected a name that ends in .svg, .png or .pdf" in done.stderr
    done = vepscore("plot", str(scored.vcf), "-o", "a.png", program=WITHOUT.format(module="matplotlib"))
    assert done.returncode == 2 and "pip install 'vepscore[plot]'; or write .svg" in done.stderr
    assert list(tmp_path.iterdir()) == []
