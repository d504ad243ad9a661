"""Coverage-guided fuzzing of our parsers with Atheris: `python -m tests.fuzz.targets NAME CORPUS [libFuzzer options]`.

The corpus is a folder. What libFuzzer finds interesting is added to it; where it is empty, files made here come first.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["vepscore"]):
    from tests.fuzz.file_checks import TARGETS


def main() -> None:
    """Ends with another status than 0 where an input breaks what the check of the target says."""
    name, corpus, *options = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        if not any(Path(corpus).iterdir()):
            for number, seed in enumerate(target.seeds(Path(folder))):
                (Path(corpus) / f"seed{number}").write_bytes(seed)
        atheris.Setup([sys.argv[0], corpus, *options], lambda data: target.check(data, Path(folder)))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
