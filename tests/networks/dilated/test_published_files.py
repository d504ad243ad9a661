"""The addresses of published weights are of one version, and the importers take files of these names."""

import re

import pytest

from vepscore.model.published_weights import PublicWeights
from vepscore.networks.dilated.published_files import PANGOLIN_WEIGHTS, SPLICEAI_WEIGHTS

NAMES = {
    "spliceai": ["spliceai-1.3.1-py2.py3-none-any.whl"],
    "openspliceai": [f"model_10000nt_rs{seed}.pt" for seed in range(10, 15)],
    "cispliceai": ["cispliceai-1.2.2-py3-none-any.whl"],
    "spliceformer": [f"spliceai_encoder_10k_071122_{number}" for number in range(5)],
    "pangolin": [
        f"final.{replicate}.{number}.3.v2" for replicate in (1, 2, 3) for number in (0, 2, 4, 6)
    ],  # as its command line reads
}
ADDRESS = (
    r"https://(files\.pythonhosted\.org/packages(/[0-9a-f]{2}){2}/[0-9a-f]{60}"
    r"|raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40})/.+"
)


@pytest.mark.parametrize("weights", [*SPLICEAI_WEIGHTS, *PANGOLIN_WEIGHTS], ids=lambda weights: weights.name)
def test_files_are_of_one_version(weights: PublicWeights) -> None:
    assert [file.name for file in weights.files] == NAMES[weights.name]
    assert all(re.fullmatch(ADDRESS, file.url) for file in weights.files)
    hashes = {file.sha256 for file in weights.files}
    assert len(hashes) == len(weights.files) and all(re.fullmatch("[0-9a-f]{64}", one) for one in hashes)
    assert weights.license and weights.terms
