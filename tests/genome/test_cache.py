"""Test where the cache is, and that digests and files in it are reused only if they are intact."""

import hashlib
import os
from pathlib import Path

import pytest

from vepscore.genome import cache


def test_environment_variable_sets_the_cache_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VEPSCORE_CACHE", str(tmp_path))
    assert cache.cache_dir() == tmp_path


def test_default_cache_directory_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VEPSCORE_CACHE", raising=False)
    assert cache.cache_dir().name == "vepscore"


def test_digest_is_cached_until_the_file_changes(tmp_path: Path) -> None:
    path, memory = tmp_path / "a.fa", tmp_path / "cache"
    path.write_bytes(b">a\nACGT\n")
    stat = path.stat()
    first = cache.file_digest(path, memory)
    assert first == hashlib.sha256(b">a\nACGT\n").hexdigest()

    path.write_bytes(b">a\nTTTT\n")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert cache.file_digest(path, memory) == first, (
        "size and time are the same, so it must not be read again"
    )

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert cache.file_digest(path, memory) == hashlib.sha256(b">a\nTTTT\n").hexdigest()


def test_damaged_cache_entry_is_ignored(tmp_path: Path) -> None:
    path, memory = tmp_path / "a.fa", tmp_path / "cache"
    path.write_bytes(b">a\nACGT\n")
    digest = cache.file_digest(path, memory)
    for kept in memory.rglob("*.json"):
        kept.write_text("[")
    assert cache.file_digest(path, memory) == digest


def test_digest_works_without_a_writable_cache(tmp_path: Path) -> None:
    path, blocked = tmp_path / "a.fa", tmp_path / "blocked"
    path.write_bytes(b"ACGT")
    blocked.write_bytes(b"a file where the cache should be")
    assert cache.file_digest(path, blocked) == hashlib.sha256(b"ACGT").hexdigest()


def test_published_file_appears_only_when_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "table.npz"
    with pytest.raises(RuntimeError), cache.published(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert list(path.parent.iterdir()) == []
    with cache.published(path) as partial:
        partial.write_text("whole")
        assert not path.exists()
    assert [each.name for each in path.parent.iterdir()] == ["table.npz"]
