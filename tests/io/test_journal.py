"""A journal returns its results after any interruption, and only to a run with the same key."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders import make_records
from tests.io.samples import result_of
from vepscore.errors import InputError, OutputError
from vepscore.io.journal import SUFFIX, Journal, open_journal
from vepscore.io.results import RecordResult

KEY = {"input": "abc", "window": "16384"}
RESULTS = [
    result_of(record)
    for record in make_records(*(("chr1", str(pos1), ".", "A", "C,<DEL>") for pos1 in range(10, 15)))
]


class Killed(BaseException):
    """Interrupts a run that is resumed later."""


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.vcf"


@pytest.fixture
def file(output: Path) -> Path:
    """The path of the journal."""
    return output.with_name(f".{output.name}{SUFFIX}")


def write(output: Path, *results: RecordResult, key: dict[str, str] = KEY) -> None:
    """Append results, then interrupt the run."""
    with pytest.raises(Killed), open_journal(output, key, resume=True) as journal:
        for result in results:
            journal.append(result)
        raise Killed


def known(journal: Journal) -> list[RecordResult]:
    return [
        RecordResult(record=result.record, alleles=journal.read(result.record))
        for result in RESULTS
        if result.record in journal
    ]


def by_status(results: Iterator[RecordResult] | list[RecordResult]) -> list[tuple]:
    return [
        (result.record, [(a.alt, a.status, a.fields, a.details) for a in result.alleles])
        for result in results
    ]


def test_results_are_available_to_the_next_run(output: Path) -> None:
    write(output, *RESULTS[:2])
    write(output, RESULTS[3])
    with open_journal(output, KEY, resume=True) as journal:
        assert len(journal) == 3 and not journal.is_empty
        assert by_status(known(journal)) == by_status([*RESULTS[:2], RESULTS[3]])


def test_journal_is_removed_after_a_clean_exit(output: Path, file: Path) -> None:
    with open_journal(output, KEY, resume=True) as journal:
        journal.append(RESULTS[0])
        assert file.exists()
    assert list(output.parent.iterdir()) == []


def test_journal_without_results_is_removed(output: Path) -> None:
    write(output)
    assert list(output.parent.iterdir()) == []


def test_truncated_frame_is_dropped(output: Path, file: Path) -> None:
    """At any byte: earlier results are available, and later ones replace the truncated frame."""
    write(output, *RESULTS[:1])
    first = file.stat().st_size
    write(output, RESULTS[1])
    whole = file.read_bytes()
    for size in range(first, len(whole)):
        file.write_bytes(whole[:size])
        write(output, RESULTS[2])
        with pytest.raises(Killed), open_journal(output, KEY, resume=True) as journal:
            assert by_status(known(journal)) == by_status([RESULTS[0], RESULTS[2]])
            raise Killed


def test_journal_truncated_at_its_start_is_empty(output: Path, file: Path) -> None:
    write(output, RESULTS[0])
    whole = file.read_bytes()
    for size in (0, 5, 30, 40):
        file.write_bytes(whole[:size])
        with pytest.raises(Killed), open_journal(output, KEY, resume=True) as journal:
            assert len(journal) == 0
            raise Killed


def test_frames_after_a_damaged_one_are_dropped(output: Path, file: Path) -> None:
    write(output, *RESULTS[:3])
    damaged = bytearray(file.read_bytes())
    damaged[-10] ^= 1
    file.write_bytes(damaged)
    with open_journal(output, KEY, resume=True) as journal:
        assert by_status(known(journal)) == by_status(RESULTS[:2])


def test_journal_of_another_run_is_refused(output: Path, file: Path) -> None:
    write(output, RESULTS[0])
    with (
        pytest.raises(OutputError) as raised,
        open_journal(output, {"input": "xyz", "strand": "+"}, resume=True),
    ):
        pytest.fail("opened")
    assert str(raised.value).splitlines()[1:] == [
        "  was left by a run with different inputs or options",
        "  input: found abc, expected xyz",
        "  strand: found none, expected +",
        "  window: found 16384, expected none",
        "  hint: resume with the options and files of that run, or start over with --no-resume",
    ]
    assert file.exists()


def test_no_resume_starts_over(output: Path) -> None:
    write(output, RESULTS[0])
    with open_journal(output, {"input": "xyz"}, resume=False) as journal:
        assert len(journal) == 0


def test_changed_record_is_refused(output: Path) -> None:
    write(output, RESULTS[0])
    record = RESULTS[0].record
    changed = dataclasses.replace(record, line=record.line + b"5")
    with (
        pytest.raises(InputError, match="differs from the record whose results"),
        open_journal(output, KEY, resume=True) as journal,
    ):
        assert changed in journal
        journal.read(changed)


def test_two_runs_cannot_use_the_same_journal(output: Path) -> None:
    with open_journal(output, KEY, resume=True) as journal:
        journal.append(RESULTS[0])
        with (
            pytest.raises(OutputError, match="is being written by another run"),
            open_journal(output, KEY, resume=True),
        ):
            pytest.fail("opened")


def test_cleared_journal_is_empty(output: Path) -> None:
    write(output, *RESULTS[:2])
    with pytest.raises(Killed), open_journal(output, KEY, resume=True) as journal:
        journal.clear()
        assert RESULTS[0].record not in journal and journal.is_empty
        journal.append(RESULTS[4])
        raise Killed
    with open_journal(output, KEY, resume=True) as journal:
        assert by_status(known(journal)) == by_status(RESULTS[4:])


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_read_only_folder_is_an_error(output: Path) -> None:
    output.parent.chmod(0o555)
    with pytest.raises(OutputError, match="cannot be written"), open_journal(output, KEY, resume=True):
        pytest.fail("opened")
