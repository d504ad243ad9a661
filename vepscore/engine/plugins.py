"""Find and load scorers: entry points of installed distributions, imported only when they are used.

If several scorers have the same name, the first one is used and shadows the others. Built-in scorers come first, so
that no plug-in can change what a built-in name means.
"""

import dataclasses
import difflib
import importlib.metadata
import logging
import re
from collections.abc import Iterable, Iterator, Sequence

from vepscore.contract import ENTRY_POINT_GROUP, Scorer
from vepscore.errors import PluginError, UsageError
from vepscore.outputs import Output

log = logging.getLogger(__name__)

_OWN_DISTRIBUTION = "vepscore"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScorerEntry:
    """A scorer of an installed distribution, not imported yet."""

    name: str
    target: str  # "module:object"
    distribution: str
    version: str  # of the distribution
    shadowed_by: str | None = (
        None  # origin of the scorer that is used under this name; None if it is this one
    )

    @property
    def module(self) -> str:
        """The module that is imported to load the scorer."""
        return self.target.partition(":")[0].strip()

    @property
    def origin(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}"

    @property
    def is_builtin(self) -> bool:
        """Whether it is part of vepscore."""
        return self.distribution == _OWN_DISTRIBUTION


def list_scorers() -> list[ScorerEntry]:
    """Return all scorers by name, built-in ones first; shadowed ones are included and marked."""
    entries = sorted(
        _installed_entries(), key=lambda entry: (not entry.is_builtin, entry.name, entry.distribution)
    )
    used: dict[str, ScorerEntry] = {}
    listed = []
    for entry in entries:
        first = used.setdefault(entry.name, entry)
        listed.append(entry if first is entry else dataclasses.replace(entry, shadowed_by=first.origin))
    return listed


def find_entries(names: Sequence[str]) -> list[ScorerEntry]:
    """Return the entries of the scorers with these names, in this order, without duplicates.

    Raises:
        UsageError: some names are unknown; all of them are in the message.
    """
    known = {entry.name: entry for entry in list_scorers() if entry.shadowed_by is None}
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        lines = [f"no scorer is named {name!r}{_suggestion(name, known)}" for name in unknown]
        raise UsageError("\n".join(lines), hint="`vepscore scorers` lists them all")
    return [known[name] for name in dict.fromkeys(names)]


def load_scorer(entry: ScorerEntry) -> Scorer:
    """Import one scorer.

    Raises:
        PluginError: the import fails, or the object is not a scorer of that name.
    """
    entry_point = importlib.metadata.EntryPoint(entry.name, entry.target, ENTRY_POINT_GROUP)
    try:
        scorer = entry_point.load()
    except (Exception, SystemExit) as error:  # a plug-in may do anything when it is imported
        log.debug("%s could not be imported", entry.target, exc_info=True)
        raise _plugin_error(entry, _import_problem(error)) from error
    problem = _contract_problem(entry, scorer)
    if problem:
        raise _plugin_error(entry, problem)
    return scorer


def load_scorers(names: Sequence[str] | None = None) -> list[Scorer]:
    """Import the scorers of these names; None for all scorers, except plug-ins that cannot be loaded.

    Raises:
        UsageError: a name is unknown.
        PluginError: a scorer that was named, or a built-in one, cannot be loaded.
    """
    if names is not None:
        return [load_scorer(entry) for entry in find_entries(names)]
    loaded = []
    for entry in list_scorers():
        if entry.shadowed_by:
            message = "scorer %s of %s is not used: %s has a scorer of that name"
            log.warning(message, entry.name, entry.origin, entry.shadowed_by)
            continue
        try:
            loaded.append(load_scorer(entry))
        except PluginError as error:
            if entry.is_builtin:
                raise
            log.warning("excluded: %s", " ".join(error.message.split()))
    return loaded


def _installed_entries() -> Iterator[ScorerEntry]:
    """Yield the entries of each distribution, the first of its name on the path; skip one that cannot be read."""
    seen = set()
    for distribution in importlib.metadata.distributions():
        # Most distributions have no scorers, and parsing their metadata is slow.
        if ENTRY_POINT_GROUP not in (distribution.read_text("entry_points.txt") or ""):
            continue
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "unnamed").lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            points = distribution.entry_points.select(group=ENTRY_POINT_GROUP)
        except Exception as error:  # the parser of entry_points.txt may raise anything
            log.warning("excluded: scorers of %s, whose entry_points.txt cannot be read: %s", name, error)
            continue
        version = distribution.metadata["Version"] or "unknown"
        for point in points:
            yield ScorerEntry(name=point.name, target=point.value, distribution=name, version=version)


def _import_problem(error: BaseException) -> str:
    problem = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError) and error.name == "vepscore.contract":
        problem += "\nit was written for another version of vepscore's scorer contract"
    return problem


def _contract_problem(entry: ScorerEntry, scorer: object) -> str:
    """Return how an object violates the contract, as far as it shows without running it; "" if it does not."""
    if isinstance(scorer, type) and issubclass(scorer, Scorer):
        return f"found the class {scorer.__name__}, expected an instance of it"
    if not isinstance(scorer, Scorer):
        return f"found an object of type {type(scorer).__name__}, expected a vepscore.contract.Scorer"
    name, output = getattr(scorer, "name", None), getattr(scorer, "output", None)
    if name != entry.name:
        return f"found a scorer whose name is {name!r}, expected {entry.name!r} as its entry point has it"
    if not isinstance(output, Output):
        return f"found output {output!r}, expected a vepscore.outputs.Output"
    if type(scorer).__hash__ is None:
        return f"found an unhashable {type(scorer).__name__}, expected a hashable one, such as a frozen dataclass"
    return ""


def _plugin_error(entry: ScorerEntry, problem: str) -> PluginError:
    remedy = "reinstall vepscore" if entry.is_builtin else f"update or uninstall {entry.distribution}"
    return PluginError(
        f"scorer {entry.name} of {entry.origin} (module {entry.module}) cannot be loaded\n{problem}",
        hint=f"{remedy}; --verbose shows where an import fails",
    )


def _suggestion(name: str, known: Iterable[str]) -> str:
    by_upper_case = {other.upper(): other for other in known}
    close = difflib.get_close_matches(name.upper(), by_upper_case)
    return f"; did you mean {', '.join(by_upper_case[match] for match in close)}?" if close else ""
