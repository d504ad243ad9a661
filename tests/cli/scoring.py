"""Run the installed `vepscore score` on the tiny genome, as a user would, and read its outputs."""

import dataclasses
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping

from tests.builders import WINDOW_BP, TinyGenome
from tests.compiled import link_compiled
from vepscore.io.info import strip_info

SCRIPT = pathlib.Path(sys.executable).with_name(
    "vepscore"
)  # what `pip install` has put beside the interpreter


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """The tiny genome and network, and caches that the runs share."""

    genome: TinyGenome
    checkpoint: pathlib.Path
    environment: Mapping[str, str]

    def command(self, *arguments: str | pathlib.Path) -> list[str]:
        """Return the command that `score` runs."""
        options = ["-r", self.genome.fasta, "-c", self.checkpoint, "--window", WINDOW_BP]
        return [str(word) for word in (SCRIPT, "score", *options, *arguments)]

    def score(
        self, *arguments: str, cwd: pathlib.Path, stdin: bytes = b""
    ) -> subprocess.CompletedProcess[bytes]:
        """Score with the smallest window. Later options win: `arguments` may name another checkpoint or window."""
        return subprocess.run(
            self.command(*arguments),
            cwd=cwd,
            env=os.environ | self.environment,
            input=stdin,
            capture_output=True,
            check=False,
        )


def caches(folder: pathlib.Path) -> dict[str, str]:
    """Return an environment with caches in `folder` and the compiled programs of all tests."""
    return {"VEPSCORE_CACHE": str(link_compiled(folder / "vepscore"))}


def split_vcf(text: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the header lines and the records."""
    lines = text.splitlines()
    return [line for line in lines if line.startswith(b"#")], [line for line in lines if line[:1] != b"#"]


def without_annotation(record: bytes) -> bytes:
    """Return a record without our fields."""
    columns = record.split(b"\t")
    return b"\t".join([*columns[:7], strip_info(columns[7]), *columns[8:]])


def annotation(record: bytes) -> dict[str, str]:
    """Return our fields of a record."""
    pairs = (pair.partition("=") for pair in record.decode().split("\t")[7].split(";"))
    return {key: value for key, _, value in pairs if key == "VS" or key.startswith("VS_")}


def statuses(path: pathlib.Path) -> list[str | None]:
    """Return VS_STATUS of each record, as cyvcf2 reads it; None if a record has none."""
    from cyvcf2 import VCF

    with VCF(str(path)) as records:
        return [record.INFO.get("VS_STATUS") for record in records]
