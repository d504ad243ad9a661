"""Published weights that can be downloaded, as a family lists them."""

import abc
import dataclasses
from pathlib import Path
from urllib.parse import urlsplit

from vepscore.model.downloads import Observe, RemoteFile, check_library, download_all, host_of, reaching


class PublishedWeights(abc.ABC):
    """The weights of a network, which `vepscore weights fetch` downloads and imports.

    Attributes:
        name: of the network, and of its checkpoint.
        license: SPDX identifier, or in words.
        terms: what users are told before the download, in lines.
        sites: where the weights can be downloaded from, the default first.
        asks_consent: whether users must accept the terms.
        takes_metadata: whether users may name other metadata of the tracks.
        dtypes: dtypes in which the parameters can be stored.
    """

    name: str
    license: str
    terms: str
    sites: tuple[str, ...]
    asks_consent: bool = False
    takes_metadata: bool = False
    dtypes: tuple[str, ...] = ("float32",)

    @property
    def size(self) -> int | None:
        """Bytes to download; None if only the site knows."""
        return None

    @abc.abstractmethod
    def download(self, folder: Path, *, site: str, observe: Observe) -> Path:
        """Download the weights and check their hashes.

        Args:
            folder: the destination; files of an earlier call are kept, and a partial one is resumed.
            site: one of `sites`.
            observe: called with the bytes downloaded so far and in all.

        Returns:
            The source for `Family.import_weights`.

        Raises:
            CheckpointError: the site cannot be reached or refuses, the disk is full, or a hash does not match.
        """

    def download_metadata(self, folder: Path) -> dict[str, Path]:
        """Download the tables of tracks, by organism, that `Family.import_weights` needs; none by default.

        Raises:
            CheckpointError: as in `download`.
        """
        del folder
        return {}


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublicFile:
    """A file at a public address whose content never changes."""

    url: str  # of one version: a release, or a commit
    size: int  # bytes
    sha256: str

    @property
    def name(self) -> str:
        """The last part of the address."""
        return urlsplit(self.url).path.rpartition("/")[2]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublicWeights(PublishedWeights):
    """Weights that are files at public addresses of one host; all are put in one folder."""

    name: str
    license: str
    terms: str
    files: tuple[PublicFile, ...]

    @property
    def sites(self) -> tuple[str, ...]:  # type: ignore[override]  # an attribute of the class or a property
        return (host_of(self.files[0].url),)

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    def download(self, folder: Path, *, site: str, observe: Observe) -> Path:
        """Download the files; return the folder, or the file if there is only one."""
        del site
        check_library()
        remotes = {
            file.url: RemoteFile(name=file.name, size=file.size, digest=file.sha256) for file in self.files
        }
        with reaching(self.files[0].url):
            download_all(remotes, folder, observe=observe)
        return folder if len(self.files) > 1 else folder / self.files[0].name
