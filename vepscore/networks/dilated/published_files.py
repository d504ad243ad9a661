"""Where the published weights of the dilated families are: files of PyPI, and of repositories at one commit."""

from collections.abc import Mapping

from vepscore.model.published_weights import PublicFile, PublicWeights
from vepscore.networks.dilated.published import (
    CI_SPLICEAI,
    OPENSPLICEAI,
    PANGOLIN,
    SPLICEAI,
    SPLICEFORMER,
    Publication,
)

_PYPI = "https://files.pythonhosted.org/packages"
_GITHUB = "https://raw.githubusercontent.com"

_SPLICEAI = PublicFile(
    url=f"{_PYPI}/d6/2b/9dbf72fdd948cd606c21826cc3735a5beea52633dab72d95d9936a9454d4/spliceai-1.3.1-py2.py3-none-any.whl",
    size=16_676_295,
    sha256="63c633b8de6803d4ffb613e6ef62f1a896fec9fc13245c0f000ff7adea279776",
)
_CI_SPLICEAI = PublicFile(
    url=f"{_PYPI}/4b/37/4e5ebeabdbfd2679973e45f6dc2a175e221281fba8933c69326e5ddd8771/cispliceai-1.2.2-py3-none-any.whl",
    size=16_996_547,
    sha256="def1db5358848a19533fd387e0620fc0df79784b9e6e1cba1a045ad6678e1da7",
)
_OPENSPLICEAI = (
    f"{_GITHUB}/Kuanhao-Chao/OpenSpliceAI/394109aad9d7a60c5139d3262b1e8ced2bd81209/models/openspliceai-mane/10000nt",
    2_878_124,
    {
        "model_10000nt_rs10.pt": "7b0d6af6239e27392226bbada310ee9e2ce0ced149fb6fdff8996c12cba3cc85",
        "model_10000nt_rs11.pt": "38fe4469eff09ffe5caa291bc224248c81ed68acca0b729afb87450909a8130e",
        "model_10000nt_rs12.pt": "49f38e3fd0e87b81ce22d986d1168eb9b2c55668bfd6aaa064da1082ee668667",
        "model_10000nt_rs13.pt": "bae2756b452f31d45b74604816561da79284d791be37f467491a68342c819b20",
        "model_10000nt_rs14.pt": "cfe2741311ed02dab3042492a5be14029b18d63be693751e9534315a9e4c6271",
    },
)
_PANGOLIN = (
    f"{_GITHUB}/tkzeng/Pangolin/5cf94b8db938c658391b4305cd7ce33297d44ff7/pangolin/models",
    2_877_321,
    {
        "final.1.0.3.v2": "f0478fab173b75f7f7e9fe96688bad6c50fa4a46d70557f423b110caaf565501",
        "final.1.2.3.v2": "559c05de3e1ce65c2515ca3e92ef85edb0ec2e47686ca58060e25891ce06eb3a",
        "final.1.4.3.v2": "c50b12e0c0af776d5674ca5e346493f8265783494d4df383364de9c1136657f6",
        "final.1.6.3.v2": "2aae563fa18a8a9b6699c6c96e0d32b8ec7543f8f805fb3bc9de77302cc9f66e",
        "final.2.0.3.v2": "c4c6bb4880fa6fb28b14182ae3ea0600edb07056158f55325b5e6e6e48fc9f26",
        "final.2.2.3.v2": "48758ba8b95eee9aa9feea52672ef06ca1b34111299c27f8a710f734d8b9aae5",
        "final.2.4.3.v2": "e03303bed4fd6f135ec0f6c1b192cce954ea42d0646f44d17b4a6fbb2b1f610e",
        "final.2.6.3.v2": "7d3c0b1b2a60067b940dec315567874fbc8bcd322f1b7c76bf969f51f0f53f7f",
        "final.3.0.3.v2": "ec685a6e7105a4486c1f89a005458a13deb3fe7171f13d434f4877e386d10676",
        "final.3.2.3.v2": "7cb576c2b24db4fdd6970c4ca4fb7c20ae1b1d8ae80645ebbe689848b5743129",
        "final.3.4.3.v2": "9476d2e25520d7ff15bece0cd5d3b657e3b1dd3cc5fcab1d9c3b62bea7a0c5b6",
        "final.3.6.3.v2": "756e7721a382cace24e9bfea5b543af5623f2487d9a3efe7385e9c76367005fd",
    },
)
_SPLICEFORMER = (
    f"{_GITHUB}/benniatli/Spliceformer/925736271e90beaaaa06598a345b3d0eeb576721/Results/PyTorch_Models",
    2_881_189,
    {
        "spliceai_encoder_10k_071122_0": "a502214c90f10edb76b78b9f703d21fa2a920c367870187971061c768a5d5a81",
        "spliceai_encoder_10k_071122_1": "f3c5abf7d35e020ecfd40cba7936633397de6aaaab824ce6b946601d3daf5697",
        "spliceai_encoder_10k_071122_2": "50a5388b259dfe5009ab8c825be7b2355edc8bd92b9e8b2501b67cd93aecbd26",
        "spliceai_encoder_10k_071122_3": "93f44e5dbcea4359eabb37fc2aecbb354d8dab3de188ba072d1ff77fb051fe24",
        "spliceai_encoder_10k_071122_4": "494d0d8829d691e3b9c5be1feef11f0fec56a7114160ba5d0c97f2c88ac9f0a2",
    },
)


def _weights(name: str, publication: Publication, *files: PublicFile) -> PublicWeights:
    return PublicWeights(name=name, license=publication.license, terms=publication.terms_notice, files=files)


def _files(folder: str, size: int, hashes: Mapping[str, str]) -> list[PublicFile]:
    """Return files of equal size in a folder of a repository, by name and SHA-256."""
    return [PublicFile(url=f"{folder}/{name}", size=size, sha256=sha256) for name, sha256 in hashes.items()]


SPLICEAI_WEIGHTS = (
    _weights("spliceai", SPLICEAI, _SPLICEAI),
    _weights("openspliceai", OPENSPLICEAI, *_files(*_OPENSPLICEAI)),
    _weights("cispliceai", CI_SPLICEAI, _CI_SPLICEAI),
    _weights("spliceformer", SPLICEFORMER, *_files(*_SPLICEFORMER)),
)
PANGOLIN_WEIGHTS = (_weights("pangolin", PANGOLIN, *_files(*_PANGOLIN)),)
