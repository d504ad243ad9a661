"""The notebook of the examples runs on the synthetic genome, and is committed without outputs."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.compiled import COMPILED

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
NOTEBOOK = "07_notebook/score_variants.ipynb"


def test_notebook_has_no_outputs() -> None:
    cells = nbformat.read(EXAMPLES / NOTEBOOK, as_version=4).cells
    assert all(
        not cell.outputs and cell.execution_count is None for cell in cells if cell.cell_type == "code"
    )


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.filterwarnings("default")  # those of Jupyter
def test_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    monkeypatch.setenv(
        "JAX_COMPILATION_CACHE_DIR", str(COMPILED)
    )  # no part of what is tested; saves a minute
    monkeypatch.delenv("VEPSCORE_REFERENCE", raising=False)
    path = tmp_path / "examples" / NOTEBOOK
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=1800, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    shown = [output["data"] for output in outputs if "data" in output]
    assert sum("image/png" in data for data in shown) == 2
    model, scores, _, ranking = (data for data in shown if "image/png" not in data)
    assert model["text/plain"].startswith("<vepscore.Model vepscore-small: synthetic.fa, synthetic.gtf")
    assert "SPLICE_SITES" in scores["text/html"]
    ranked = re.findall(r"<td>(72986|110765|83209)</td>", ranking["text/html"])
    assert len(ranked) == 3 and ranked[-1] == "83209", "the substitution that does nothing comes last"
