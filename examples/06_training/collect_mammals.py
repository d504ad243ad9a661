"""Collect sequence of other mammals, mammals.fa.gz, on which the splicing of the embedded checkpoint is trained too.

    python examples/06_training/collect_mammals.py -o DATA/mammals.fa.gz

The sequence, 0.2 billion bases of ten mammals and the chicken, is what corresponds to nine stretches of 2.5 Mb of human
chr1. It was test data of the gene finder AUGUSTUS in June 2020, and is still in the history of its repository, of which
git downloads one commit (0.5 GB). Contigs are named `mm10_chr1_134830573_136976869`: assembly, then as they were.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import pysam
import typer

from vepscore.cli.main import run_script
from vepscore.errors import InputError
from vepscore.genome.cache import published

REPOSITORY = "https://github.com/Gaius-Augustus/Augustus"
COMMIT = "ff054dc0ece5fd700edade1d826b0a9a72f40dfd"
FOLDER = "examples/cgp12way"
# Not the human's, which is in the training sequence already.
ASSEMBLIES = (
    *("bosTau8", "canFam3", "dasNov3", "echTel2", "loxAfr3", "mm10"),
    *("monDom5", "oryCun2", "rheMac3", "rn6", "galGal4"),
)

_LINE_BP = 60


def main(
    output: Annotated[Path, typer.Option("-o", "--output", help="Output FASTA, bgzipped.")],
    repository: Annotated[
        str, typer.Option(help="Address or directory of the repository that has the commit.")
    ] = REPOSITORY,
    commit: Annotated[str, typer.Option(help="The commit that has the sequence.")] = COMMIT,
) -> None:
    """Download the sequence of other mammals and write it as one FASTA."""
    with tempfile.TemporaryDirectory(dir=output.parent) as temporary:
        clone, plain = Path(temporary) / "clone", Path(temporary) / "mammals.fa"
        run_git("init", "--quiet", "--bare", clone)
        run_git("-C", clone, "fetch", "--quiet", "--depth", "1", repository, commit)
        with plain.open("w") as file:
            for name, bases in read_mammals(clone, commit):
                file.write(f">{name}\n")
                file.writelines(f"{bases[at : at + _LINE_BP]}\n" for at in range(0, len(bases), _LINE_BP))
        with published(output) as partial:
            pysam.tabix_compress(str(plain), str(partial), force=True)


def read_mammals(clone: Path, commit: str) -> Iterator[tuple[str, str]]:
    """Yield name and bases of each contig.

    Raises:
        InputError: the commit has no such files.
    """
    listed = run_git("-C", clone, "ls-tree", "-r", "--name-only", commit, FOLDER).splitlines()
    paths = [
        path for assembly in ASSEMBLIES for path in listed if path.endswith(f"/{assembly}.MINIMAL.fasta")
    ]
    if not paths:
        raise InputError(f"{commit}\nhas no sequence in {FOLDER}", hint=f"omit --commit, which is {COMMIT}")
    for path in paths:
        assembly = Path(path).name.partition(".")[0]
        for entry in run_git("-C", clone, "show", f"{commit}:{path}").split(">")[1:]:
            name, _, lines = entry.partition("\n")
            yield f"{assembly}_{name.strip()}", "".join(lines.split())


def run_git(*arguments: str | Path) -> str:
    """Run git, and return what it prints.

    Raises:
        InputError: git is not installed, or fails.
    """
    if (git := shutil.which("git")) is None:
        raise InputError("git is not installed", hint="install git, for example with apt-get install git")
    done = subprocess.run([git, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(
            f"git {' '.join(map(str, arguments))}\nfailed: {done.stderr.strip()}",
            hint="check the connection, or name a clone that has the commit with --repository",
        )
    return done.stdout


if __name__ == "__main__":
    run_script(main)
