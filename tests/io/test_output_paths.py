"""No output replaces an input or another output, by whatever path."""

import os
import pathlib
import subprocess
import sys

import pytest

from vepscore.errors import UsageError
from vepscore.io.output_paths import check_output_paths


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The working directory, with `in.vcf`, links to it, and a FIFO."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.vcf").write_text("input")
    (tmp_path / "link.vcf").symlink_to("in.vcf")
    (tmp_path / "hard.vcf").hardlink_to("in.vcf")
    (tmp_path / "elsewhere").symlink_to(".")
    os.mkfifo("fifo.vcf")
    return tmp_path


@pytest.mark.parametrize(
    "output", ["in.vcf", "./in.vcf", "link.vcf", "hard.vcf", "elsewhere/in.vcf", "elsewhere/hard.vcf"]
)
def test_output_that_is_an_input_is_refused(output: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_output_paths([output], [None, "in.vcf"])
    assert str(caught.value).splitlines()[:2] == [
        f"output {output} would replace an input",
        "  found in.vcf",
    ]


@pytest.mark.parametrize("suffix", [".fai", ".gzi", ".tbi", ".csi"])
def test_index_of_an_input_is_an_input(suffix: str) -> None:
    with pytest.raises(UsageError, match=f"found ref.fa{suffix}"):
        check_output_paths([f"ref.fa{suffix}"], ["ref.fa"])


@pytest.mark.parametrize("suffix", [".tbi", ".csi"])
@pytest.mark.parametrize("output", ["out.vcf.gz", "out.bcf"])
def test_index_of_an_output_is_an_output(output: str, suffix: str) -> None:
    index = output + suffix
    with pytest.raises(UsageError, match=f"output {output} would replace an input\n.*found {index}"):
        check_output_paths([output], [index])
    with pytest.raises(UsageError, match=f"duplicate output path: {output}, {index}"):
        check_output_paths([output, index], [])


def test_side_file_is_an_output() -> None:
    with pytest.raises(UsageError, match="would replace an input"):
        check_output_paths(["out.vcf"], ["journal"], side_files=[pathlib.Path("journal")])


@pytest.mark.parametrize(
    "outputs",
    [
        ("a.vcf", "a.vcf"),
        ("a.vcf", "./a.vcf"),
        ("link.vcf", "hard.vcf"),
        ("-", "-"),
        ("-", "/dev/stdout"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("fifo.vcf", "./fifo.vcf"),
    ],
)
def test_two_outputs_on_one_file_are_refused(outputs: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="duplicate output path: "):
        check_output_paths(outputs, [])


@pytest.mark.parametrize(
    ("outputs", "inputs"),
    [
        (["-"], ["-"]),
        (["-", "out.vcf", None, "out.parquet"], ["in.vcf", "absent.fa"]),
        (["-", "fifo.vcf"], ["in.vcf"]),
        (["/dev/null", "out.vcf"], ["/dev/null"]),
    ],
)
def test_distinct_outputs_are_accepted(outputs: list[str | None], inputs: list[str]) -> None:
    if inputs == ["/dev/null"]:
        outputs = outputs[1:]
    check_output_paths(outputs, inputs)


def run_with(stdin: pathlib.Path, stdout: pathlib.Path, call: str) -> subprocess.CompletedProcess[str]:
    program = f"from vepscore.io.output_paths import check_output_paths as check; check({call})"
    with stdin.open("rb") as standard_input, stdout.open("ab") as standard_output:
        return subprocess.run(
            [sys.executable, "-c", program],
            stdin=standard_input,
            stdout=standard_output,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": os.fspath(pathlib.Path(__file__).parents[2])},
        )


def test_redirected_standard_streams_count(folder: pathlib.Path) -> None:
    other = folder / "other"
    other.write_bytes(b"")
    assert (
        "UsageError: output in.vcf would replace an input"
        in run_with(folder / "in.vcf", other, "['in.vcf'], ['-']").stderr
    )
    assert (
        "UsageError: output - would replace an input"
        in run_with(other, folder / "in.vcf", "['-'], ['in.vcf']").stderr
    )
    assert run_with(folder / "in.vcf", other, "['-'], ['-']").stderr == ""
