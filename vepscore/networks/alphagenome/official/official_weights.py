"""The official checkpoints, which can be downloaded with an account that has accepted the model terms."""

import dataclasses
from pathlib import Path

from vepscore.model.downloads import Observe
from vepscore.model.published_weights import PublishedWeights
from vepscore.networks.alphagenome.official.hub import (
    CHECKPOINTS,
    LICENSE,
    TERMS_URL,
    fetch_from_huggingface,
    fetch_metadata,
)
from vepscore.networks.alphagenome.official.kaggle import fetch_from_kaggle

_HUGGING_FACE, _KAGGLE = "huggingface", "kaggle"
_TERMS = f"""The AlphaGenome weights belong to Google DeepMind and come with terms of use. In short:
  - non-commercial use only, of the weights and of what they predict
  - predictions may not be used to train other models
  - not validated or approved for clinical use
This is a summary; the terms themselves apply: {TERMS_URL}"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OfficialWeights(PublishedWeights):
    """An official checkpoint, and the metadata of its tracks."""

    name: str
    license = LICENSE
    terms = _TERMS
    sites = (_HUGGING_FACE, _KAGGLE)
    asks_consent = True
    takes_metadata = True
    dtypes = ("float32", "bfloat16")

    def download(self, folder: Path, *, site: str, observe: Observe) -> Path:
        if site == _KAGGLE:
            return fetch_from_kaggle(self.name, folder)
        return fetch_from_huggingface(self.name, folder, observe=observe)

    def download_metadata(self, folder: Path) -> dict[str, Path]:
        return fetch_metadata(folder)


OFFICIAL_WEIGHTS = tuple(OfficialWeights(name=name) for name in CHECKPOINTS)
