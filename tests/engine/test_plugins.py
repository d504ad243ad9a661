"""Scorers are listed without being imported, and a broken plug-in affects only itself."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builtin_scorers import BUILTIN, names_in_all
from tests.cli.commands import ROOT, SCORER_SOURCE, install_plugin, install_scorer
from vepscore.contract import Scorer
from vepscore.engine.scorer_plugins import PluginEntry, find_entries, list_scorers, load_scorer, load_scorers
from vepscore.errors import PluginError, UsageError


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put a folder on the path; forget modules imported from it afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in sys.modules[name].__file__:
            del sys.modules[name]


def entries_named(name: str) -> list[PluginEntry]:
    return [entry for entry in list_scorers() if entry.name == name]


def break_scorer(folder: Path, source: str, *, name: str = "BROKEN") -> PluginEntry:
    (folder / "broken_module.py").write_text(source)
    install_plugin(folder, "broken-dist", {name: f"broken_module:{name}"})
    return entries_named(name)[0]


def test_builtin_scorers_are_those_of_the_packaging() -> None:
    assert {entry.name: entry.target for entry in list_scorers() if entry.is_builtin} == BUILTIN


def test_builtin_scorers_come_first_and_all_by_name(plugins: Path) -> None:
    install_scorer(plugins, "aardvark", "AAA", "aaa_module")
    install_scorer(plugins, "zebra", "AAB", "aab_module")
    entries = list_scorers()
    assert [entry.name for entry in entries] == [*sorted(BUILTIN), "AAA", "AAB"]


def test_listing_imports_no_scorer() -> None:
    program = (
        "import sys; from vepscore.engine.scorer_plugins import list_scorers; list_scorers();"
        "print([name for name in sys.modules if f'{name}.'.startswith(('vepscore.scorers.', 'jax.'))])"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_third_party_scorer_is_listed_and_loaded(plugins: Path) -> None:
    install_scorer(plugins, "Site.Loss", "PLUGGED", "plugged_module")
    (entry,) = entries_named("PLUGGED")
    assert (entry.module, entry.distribution, entry.version) == ("plugged_module", "site-loss", "1.0")
    assert not entry.is_builtin and entry.shadowed_by is None
    assert "plugged_module" not in sys.modules
    scorer = load_scorer(entry)
    assert isinstance(scorer, Scorer) and scorer.name == "PLUGGED"


def test_second_distribution_with_a_name_is_shadowed(plugins: Path, caplog: pytest.LogCaptureFixture) -> None:
    install_scorer(plugins, "first-dist", "TWICE", "first_module")
    install_scorer(plugins, "second-dist", "TWICE", "second_module")
    first, second = entries_named("TWICE")
    assert (first.distribution, first.shadowed_by) == ("first-dist", None)
    assert (second.distribution, second.shadowed_by) == ("second-dist", "first-dist 1.0")
    assert find_entries(["TWICE"]) == [first]
    with caplog.at_level(logging.WARNING):
        loaded = load_scorers()
    assert [scorer.name for scorer in loaded].count("TWICE") == 1
    assert caplog.messages == [
        "scorer TWICE of second-dist 1.0 is not used: first-dist 1.0 has a scorer of that name"
    ]


def test_builtin_scorer_cannot_be_replaced(plugins: Path) -> None:
    install_scorer(plugins, "aardvark", "ATAC", "aardvark_module")
    used, shadowed = entries_named("ATAC")
    assert used.is_builtin and shadowed.shadowed_by == used.origin


def test_distribution_seen_twice_on_the_path_counts_once(
    plugins: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = tmp_path_factory.mktemp("older")
    install_plugin(older, "same-dist", {"SAME": "same_module:SAME"}, version="0.9")
    monkeypatch.syspath_prepend(str(older))
    install_plugin(plugins, "same_dist", {"SAME": "same_module:SAME"}, version="1.0")
    monkeypatch.syspath_prepend(str(plugins))
    (entry,) = entries_named("SAME")
    assert entry.origin == "same-dist 1.0"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("from vepscore.contract import Reads", "written for another version of vepscore"),
        (
            SCORER_SOURCE.format(name="BROKEN").replace("footprint(self", "where(self"),
            "Can't instantiate abstract class Plugged",
        ),
        ("raise RuntimeError('needs a license')", "RuntimeError: needs a license"),
        ("raise SystemExit('goodbye')", "SystemExit: goodbye"),
        ("def broken(:", "SyntaxError"),
        ("OTHER = 1", "AttributeError"),
        ("BROKEN = 'text'", "found an object of type str, expected a vepscore.contract.Scorer"),
        (SCORER_SOURCE.format(name="BROKEN") + "BROKEN = Plugged", "found the class Plugged"),
        (
            SCORER_SOURCE.format(name="BROKEN") + "Plugged.name = 'ELSE'",
            "found a scorer whose name is 'ELSE'",
        ),
        (SCORER_SOURCE.format(name="BROKEN") + "del Plugged.name", "found a scorer whose name is None"),
        (SCORER_SOURCE.format(name="BROKEN") + "Plugged.output = 'DNASE'", "found output 'DNASE'"),
        (SCORER_SOURCE.format(name="BROKEN") + "Plugged.__hash__ = None", "found an unhashable Plugged"),
    ],
)
def test_broken_plugin_is_reported_with_its_origin_and_cause(plugins: Path, source: str, found: str) -> None:
    entry = break_scorer(plugins, source)
    with pytest.raises(PluginError) as raised:
        load_scorers(["ATAC", "BROKEN"])
    message = str(raised.value)
    assert message.startswith("scorer BROKEN of broken-dist 1.0 (module broken_module) cannot be loaded\n")
    assert found in message
    assert "hint: update or uninstall broken-dist" in message
    assert entry.shadowed_by is None


def test_broken_plugin_is_one_warning_when_all_are_loaded(
    plugins: Path, caplog: pytest.LogCaptureFixture
) -> None:
    break_scorer(plugins, "raise ValueError('two\\nlines')")
    with caplog.at_level(logging.WARNING):
        loaded = load_scorers(None)
    assert {scorer.name for scorer in loaded} == names_in_all()
    (message,) = caplog.messages
    assert message == (
        "excluded: scorer BROKEN of broken-dist 1.0 (module broken_module) cannot be loaded ValueError: two lines"
    )


@pytest.mark.parametrize("target", ["no colon!", "", ":", "module:"])
def test_malformed_entry_point_is_listed_and_reported(plugins: Path, target: str) -> None:
    install_plugin(plugins, "senseless", {"SENSELESS": target})
    (entry,) = entries_named("SENSELESS")
    with pytest.raises(PluginError, match="scorer SENSELESS of senseless"):
        load_scorer(entry)


def test_unreadable_entry_points_are_one_warning(plugins: Path, caplog: pytest.LogCaptureFixture) -> None:
    install_plugin(plugins, "garbled", {})
    (plugins / "garbled-1.0.dist-info" / "entry_points.txt").write_text(
        "[vepscore.scorers]\nno equals sign\n"
    )
    with caplog.at_level(logging.WARNING):
        assert len(list_scorers()) == len(BUILTIN)
    assert len(caplog.messages) == 1 and "garbled" in caplog.messages[0]


def test_broken_builtin_scorer_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vepscore.scorers.center_mask", None)
    with pytest.raises(PluginError, match="hint: reinstall vepscore"):
        load_scorers(None)


def test_named_scorers_are_loaded_once_in_the_given_order() -> None:
    loaded = load_scorers(["SPLICE_SITES", "ATAC", "SPLICE_SITES"])
    assert [scorer.name for scorer in loaded] == ["SPLICE_SITES", "ATAC"]


def test_empty_list_of_names_loads_nothing() -> None:
    assert load_scorers([]) == []


def test_unknown_names_are_reported_together_with_close_matches() -> None:
    with pytest.raises(UsageError) as raised:
        load_scorers(["splice_site", "ATAC", "zzz"])
    first, second, hint = str(raised.value).splitlines()
    assert "no scorer is named 'splice_site'; did you mean SPLICE_SITES" in first
    assert second.strip() == "no scorer is named 'zzz'"
    assert "vepscore scorers" in hint
