"""Check output paths: no output may replace an input or another output, whatever path it is given by."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from vepscore.errors import UsageError
from vepscore.io.streams import STDOUT, check_stream, find_descriptor, is_stream

INDEXED_SUFFIXES = (".vcf", ".vcf.gz", ".bcf")
INDEX_SUFFIXES = (".tbi", ".csi")
_INPUT_INDEX_SUFFIXES = (*INDEX_SUFFIXES, ".fai", ".gzi")

_Name = str | Path | None


def check_output_paths(
    outputs: Iterable[_Name], inputs: Iterable[_Name], *, side_files: Iterable[Path] = ()
) -> None:
    """Refuse outputs that would replace an input or another output, also by links, hard links or as indexes.

    Args:
        outputs: files, which may not exist; "-" is standard output, None no output.
        inputs: files that the command reads, which may not exist; their indexes count as inputs. "-" is standard
            input, None no input.
        side_files: files that the command writes besides the outputs and their indexes.

    Raises:
        UsageError: two outputs are the same file, an output is an input, or an output is a device that cannot be
            written.
    """
    names = [str(name) for name in outputs if name is not None]
    for name in names:
        check_stream(name)
    files = [(name, file) for name in names for file in (name, *_index_files(name))]
    files += [(str(path), str(path)) for path in side_files]
    written: dict[object, list[tuple[str, str]]] = {}
    for output, file in files:
        for identity in _identities(file, standard=1):
            written.setdefault(identity, []).append((output, file))
    for same in written.values():
        _check_distinct(same)
    for name in map(str, filter(None, inputs)):
        indexes = () if is_stream(name) else (f"{name}{suffix}" for suffix in _INPUT_INDEX_SUFFIXES)
        for file in (name, *indexes):
            for identity in _identities(file, standard=0) & written.keys():
                _refuse_replacing(file, *written[identity][0])


def _index_files(name: str) -> list[str]:
    if is_stream(name) or not name.endswith(INDEXED_SUFFIXES):
        return []
    return [f"{os.path.realpath(name)}{suffix}" for suffix in INDEX_SUFFIXES]


def _identities(name: str, *, standard: int) -> set[object]:
    """Return keys that all paths of a file share: its real path or descriptor, and its device and inode.

    Terminals and the null device have no device and inode here, because they can be both read and written.

    Args:
        name: a path, or "-".
        standard: the descriptor of "-".
    """
    descriptor = standard if name == STDOUT else find_descriptor(name)
    names: set[object] = {os.path.realpath(name) if descriptor is None else descriptor}
    try:
        status = os.stat(name) if descriptor is None else os.fstat(descriptor)
    except (OSError, ValueError):
        return names
    if stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode):
        names.add((status.st_dev, status.st_ino))
    return names


def _check_distinct(same: list[tuple[str, str]]) -> None:
    if len(same) > 1:
        outputs = dict.fromkeys(output for output, _ in same)
        raise UsageError(
            f"duplicate output path: {', '.join(outputs)}", hint="give each output a different path"
        )


def _refuse_replacing(source: str, output: str, file: str) -> None:
    found = "standard input" if source == STDOUT else source
    also = "" if file == output else f"\nit also writes {file}"
    raise UsageError(
        f"output {output} would replace an input\nfound {found}{also}",
        hint="give the output another path",
    )
