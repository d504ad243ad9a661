"""The README keeps up with the code: its fields, its statuses, its example of a scorer, its links."""

import pathlib
import re

import numpy as np
import pytest

from vepscore.contract import Site
from vepscore.genome.alleles import Allele, Status
from vepscore.genome.windows import window_around
from vepscore.io.fields import FIELDS
from vepscore.outputs import Output

ROOT = pathlib.Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_info_field_is_explained():
    assert [field.id for field in FIELDS if f"`{field.id}`" not in README] == []


def test_every_status_is_explained():
    assert [status.value for status in Status if f"| `{status.value}` |" not in README] == []


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
    reads = scorer.where(site)
    reference = np.zeros((len(reads.positions), 4), np.float32)
    reference[50, 0] = 0.75  # a donor where the variant is
    scores = scorer.score(reference, np.zeros_like(reference), reads.masks)
    block = scorer.rows(scores, reads, site, None)

    assert reads.positions[50] == allele.pos0 - site.window.start0
    assert (block.scorer, block.output, block.genes) == ("SITE_LOSS", Output.SPLICE_SITES, (None,))
    np.testing.assert_array_equal(block.values, [[0.75, 0, 0, 0]])
