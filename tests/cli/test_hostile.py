"""Whatever the machine or the files do, a run ends with its outputs whole, or with our message and none of them."""

import contextlib
import dataclasses
import gzip
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import safetensors.numpy

from tests.builders import build_genome, vcf_row, write_vcf
from tests.cli.endings import Ended, after, end, failed, names, start, wait_until
from tests.cli.scoring import Bench, annotation, split_vcf, statuses
from tests.fuzz.vcfs import bgzip

SCORED = vcf_row("chr1", 16_000, 1, "~", "<DEL>")
UNSCORED = vcf_row("chr1", 16_000, 1, "<DEL>")
NOISE = "".join(
    random.Random(0).choices("abcdefghijklmnopqrstuvwxyz", k=3_000_000)
)  # does not compress to 1 MB
NOBODY = 65534
LIMIT_FILES = "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))"


@pytest.fixture
def noisy(tmp_path: pathlib.Path) -> pathlib.Path:
    """A VCF of 3 MB whose record is passed on."""
    chrom, pos1, _, ref, alt = UNSCORED
    return write_vcf(
        tmp_path / "noisy.vcf",
        (chrom, pos1, NOISE, ref, alt),
        meta=("##fileformat=VCFv4.2", "##contig=<ID=chr1>"),
    )


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A disk of 1 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class TestFullDisk:
    @pytest.mark.parametrize(
        "outputs",
        [
            ("-o", "out.vcf"),
            ("-o", "out.vcf.gz"),
            ("-o", "out.bcf"),
            ("-o", "out.parquet", "--table", "out.tsv"),
            ("-o", "out.parquet", "--table", "t.parquet"),
        ],
        ids=lambda outputs: outputs[-1],
    )
    def test_nothing_is_left(
        self, bench: Bench, small_disk: pathlib.Path, noisy: pathlib.Path, outputs: tuple[str, ...]
    ) -> None:
        failed(end(start(bench, small_disk, noisy, *outputs)), "cannot be written")
        assert names(small_disk) == set()

    def test_limit_on_the_size_of_files(
        self, bench: Bench, tmp_path: pathlib.Path, noisy: pathlib.Path
    ) -> None:
        out = tmp_path / "results"
        out.mkdir()
        failed(
            end(start(bench, out, noisy, "-o", "out.vcf.gz", prefix=after(LIMIT_FILES))), "cannot be written"
        )
        assert names(out) == set()

    @pytest.mark.parametrize(
        "row", [UNSCORED, (*UNSCORED[:2], NOISE, *UNSCORED[3:])], ids=["buffered", "large"]
    )
    def test_standard_output(self, bench: Bench, tmp_path: pathlib.Path, row: tuple[str, ...]) -> None:
        write_vcf(tmp_path / "in.vcf", row)
        if not pathlib.Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        with open("/dev/full", "wb") as full:
            ended = end(start(bench, tmp_path, "in.vcf", "-o", "-", stdout=full))
        failed(ended, "standard output", "cannot be written")
        assert ended.said.count("error: ") == 1


class TestPermissions:
    """As a user that may not write; root may everywhere."""

    @pytest.fixture
    def public(self, bench: Bench) -> Iterator[tuple[Bench, pathlib.Path]]:
        """A folder with all that a run needs, which every user can read."""
        folder = pathlib.Path(tempfile.mkdtemp())
        folder.chmod(0o755)
        shutil.copytree(bench.checkpoint, folder / "checkpoint")
        own = dataclasses.replace(bench, genome=build_genome(folder), checkpoint=folder / "checkpoint")
        write_vcf(folder / "in.vcf", SCORED)
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)
        (folder / "closed").mkdir()
        folder.chmod(0o555)
        (folder / "closed").chmod(0o555)
        yield dataclasses.replace(own, environment={"VEPSCORE_CACHE": str(folder / "open" / "cache")}), folder
        folder.chmod(0o755)
        shutil.rmtree(folder)

    @staticmethod
    def prefix() -> list[str]:
        if os.geteuid() != 0:
            return []
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv on the PATH")
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        program = [*prefix, sys.executable, "-c", "import vepscore"]
        if subprocess.run(program, capture_output=True, check=False, cwd="/").returncode:
            pytest.skip("other users cannot read the Python that runs this")
        return prefix

    def test_output_folder_that_is_read_only(self, public: tuple[Bench, pathlib.Path]) -> None:
        own, folder = public
        ended = end(start(own, folder / "closed", "../in.vcf", "-o", "out.vcf", prefix=self.prefix()))
        failed(ended, "cannot be written: Permission denied", "out.vcf")
        assert names(folder / "closed") == set()

    @pytest.mark.slow
    @pytest.mark.ci
    def test_reference_beside_which_no_index_can_be_made(self, public: tuple[Bench, pathlib.Path]) -> None:
        own, folder = public
        ended = end(start(own, folder / "open", "../in.vcf", "-o", "out.vcf", prefix=self.prefix()))
        assert ended.status == 0, ended.said
        assert statuses(folder / "open" / "out.vcf") == ["OK,SYMBOLIC"]
        assert not (folder / "tiny.fa.fai").exists()

    def test_input_that_may_not_be_read(self, public: tuple[Bench, pathlib.Path]) -> None:
        own, folder = public
        secret = write_vcf(folder / "open" / "secret.vcf", SCORED)
        secret.chmod(0o000)
        ended = end(start(own, folder / "open", "secret.vcf", "-o", "o.vcf", prefix=self.prefix()))
        failed(ended, "secret.vcf", "cannot be opened: Permission denied")


NOT_VCF = {
    "fasta": b">chr1\nACGT\n",
    "json": b'{"a": 1}\n',
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "empty_gzip": gzip.compress(b""),
    "gzip_of_text": gzip.compress(b"hello\n" * 1000),
    "header_alone": b"##fileformat=VCFv4.2\n",
    "broken_bcf": bgzip(b"BCF\2\2\xff\xff\xff\xff" + b"x" * 100),
    "old_mac": b"##fileformat=VCFv4.2\r#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\rchr1\t5\t.\tA\tC\t.\t.\t.\r",
}


class TestFiles:
    @pytest.mark.parametrize("name", NOT_VCF)
    def test_what_is_no_vcf(self, bench: Bench, tmp_path: pathlib.Path, name: str) -> None:
        (tmp_path / "in.vcf").write_bytes(NOT_VCF[name])
        failed(end(start(bench, tmp_path, "in.vcf", "-o", "out.vcf")), "in.vcf")
        assert names(tmp_path) == {"in.vcf"}

    @pytest.mark.parametrize("container", [gzip.compress, bgzip], ids=["gzip", "bgzip"])
    @pytest.mark.parametrize("as_stream", [False, True], ids=["file", "stream"])
    def test_what_is_cut_short(
        self, bench: Bench, tmp_path: pathlib.Path, container: Callable[[bytes], bytes], as_stream: bool
    ) -> None:
        data = container(write_vcf(tmp_path / "plain.vcf", *[UNSCORED] * 2000).read_bytes())
        (tmp_path / "in.vcf.gz").write_bytes(data[: len(data) * 2 // 3])
        with open(tmp_path / "in.vcf.gz", "rb") as stream:
            source = ["-"] if as_stream else ["in.vcf.gz"]
            ended = end(start(bench, tmp_path, *source, "-o", "out.vcf", stdin=stream))
        failed(ended, "is truncated", "standard input" if as_stream else "in.vcf.gz")
        assert names(tmp_path) == {"plain.vcf", "in.vcf.gz"}

    @pytest.mark.slow
    @pytest.mark.ci
    def test_annotation_with_features_that_nobody_knows(self, bench: Bench, tmp_path: pathlib.Path) -> None:
        write_vcf(tmp_path / "in.vcf", SCORED)
        known = bench.genome.gtf.read_text()
        odd = "".join(
            f"chr1\tx\t{kind}\t5\t90\t.\t?\t9\twhatever\n" for kind in ("region", "Selenocysteine", "", "é")
        )
        (tmp_path / "odd.gtf").write_text(
            f'#!x\n{odd}{known}chrZ\tx\tgene\t1\t5\t.\t.\t.\tgene_id "Z"; x "a;b"; y 5;\n'
        )
        ended = end(start(bench, tmp_path, "in.vcf", "-g", "odd.gtf", "-s", "RNA_SEQ", "-o", "out.vcf"))
        assert ended.status == 0, ended.said
        plain = end(
            start(bench, tmp_path, "in.vcf", "-g", bench.genome.gtf, "-s", "RNA_SEQ", "-o", "plain.vcf")
        )
        assert plain.status == 0, plain.said
        bodies = [split_vcf((tmp_path / name).read_bytes())[1] for name in ("out.vcf", "plain.vcf")]
        assert bodies[0] == bodies[1]

    def test_poisoned_weight_fails_alleles_and_gives_no_number(
        self, bench: Bench, tmp_path: pathlib.Path
    ) -> None:
        shutil.copytree(bench.checkpoint, tmp_path / "poisoned")
        path = tmp_path / "poisoned" / "model.safetensors"
        arrays = {name: array.copy() for name, array in safetensors.numpy.load_file(path).items()}
        (first,) = (array for name, array in arrays.items() if name == "encoder.embedder.conv.kernel")
        first[0, 0, 0] = np.nan
        safetensors.numpy.save_file(arrays, path)
        write_vcf(tmp_path / "in.vcf", SCORED, UNSCORED, SCORED)
        outputs = ("-o", "out.vcf", "-o", "out.parquet", "--strict")
        ended = end(start(bench, tmp_path, "in.vcf", "-c", "poisoned", *outputs))
        assert ended.status == 3, ended.said
        assert [line.split()[1:4:2] for line in ended.said.splitlines() if "FAILED" in line] == [
            ["FAILED", "2"]
        ]
        assert statuses(tmp_path / "out.vcf") == ["FAILED,SYMBOLIC", "SYMBOLIC", "FAILED,SYMBOLIC"]
        for record in split_vcf((tmp_path / "out.vcf").read_bytes())[1]:
            fields = annotation(record)
            assert (
                set("".join(fields[name] for name in fields if name != "VS_STATUS")) == {".", ","}
                or record.count(b",") == 0
            )
        import pandas as pd

        assert len(pd.read_parquet(tmp_path / "out.parquet")) == 0


class TestChangesWhileRunning:
    """The run waits for standard input, and the reference is changed meanwhile."""

    @pytest.fixture
    def own(self, bench: Bench, tmp_path: pathlib.Path) -> Bench:
        (tmp_path / "genome").mkdir()
        (tmp_path / "out").mkdir()
        return dataclasses.replace(bench, genome=build_genome(tmp_path / "genome"))

    def run(self, own: Bench, tmp_path: pathlib.Path, change: Callable[[pathlib.Path], None]) -> Ended:
        process = start(own, tmp_path / "out", "-", "-o", "out.vcf", stdin=subprocess.PIPE)
        meta = ("##fileformat=VCFv4.2", "##source=" + "x" * 300)  # enough to see what kind of file it is
        text = write_vcf(tmp_path / "in.vcf", SCORED, meta=meta).read_bytes()
        process.stdin.write(text[: text.rindex(b"chr1")])
        process.stdin.flush()
        wait_until(lambda: any(name.endswith(".out.vcf") for name in names(tmp_path / "out")), process)
        change(own.genome.fasta)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(text[text.rindex(b"chr1") :])
        return end(process)

    def test_reference_is_cut_off(self, own: Bench, tmp_path: pathlib.Path) -> None:
        failed(self.run(own, tmp_path, lambda fasta: os.truncate(fasta, 100)), "tiny.fa")
        assert names(tmp_path / "out") == set()

    def test_reference_is_replaced(self, own: Bench, tmp_path: pathlib.Path) -> None:
        ended = self.run(own, tmp_path, lambda fasta: os.utime(fasta, (0, 0)))
        failed(ended, "tiny.fa", "has changed while it was read")
        assert names(tmp_path / "out") == set()


class TestStreams:
    def test_standard_input_that_is_closed(self, bench: Bench, tmp_path: pathlib.Path) -> None:
        ended = end(start(bench, tmp_path, "-", "-o", "out.vcf", prefix=after("os.close(0)")))
        failed(ended, "standard input", "closed")
        assert names(tmp_path) == set()

    def test_standard_input_with_nothing(self, bench: Bench, tmp_path: pathlib.Path) -> None:
        failed(end(start(bench, tmp_path, "-", "-o", "out.vcf", stdin=subprocess.DEVNULL)), "is empty")

    def test_standard_output_that_is_closed(self, bench: Bench, tmp_path: pathlib.Path) -> None:
        write_vcf(tmp_path / "in.vcf", UNSCORED)
        ended = end(start(bench, tmp_path, "in.vcf", prefix=after("os.close(1)")))
        failed(ended, "standard output", "closed")

    def test_messages_do_not_go_into_a_file_that_has_the_number_of_standard_error(
        self, bench: Bench, tmp_path: pathlib.Path
    ) -> None:
        write_vcf(tmp_path / "in.vcf", UNSCORED)
        ended = end(
            start(bench, tmp_path, "in.vcf", "-o", "out.vcf", "-v", prefix=after("os.closerange(0, 3)"))
        )
        assert (ended.status, ended.said) == (0, "")
        header, records = split_vcf((tmp_path / "out.vcf").read_bytes())
        assert len(records) == 1 and header[0] == b"##fileformat=VCFv4.2" and header[-1].startswith(b"#CHROM")

    def test_reader_that_has_had_enough(self, bench: Bench, tmp_path: pathlib.Path) -> None:
        write_vcf(tmp_path / "in.vcf", *[UNSCORED] * 20_000)
        process = start(bench, tmp_path, "in.vcf", "-o", "-")
        assert process.stdout.readline() == b"##fileformat=VCFv4.2\n"
        process.stdout.close()
        with process.stderr:
            said = process.stderr.read()
        assert process.wait() == 128 + signal.SIGPIPE and b"Traceback" not in said

    def test_what_a_file_holds_does_not_steer_the_terminal(
        self, bench: Bench, tmp_path: pathlib.Path
    ) -> None:
        row = ("chr1", "1\x1b[2J", ".", "A", "C")
        write_vcf(tmp_path / "in.vcf", row)
        ended = end(start(bench, tmp_path, "in.vcf", "-o", "out.vcf"))
        failed(ended)
        assert "\x1b[2J" not in ended.said
