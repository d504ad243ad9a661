"""Plug-ins: entry points of installed distributions, imported only when they are used.

If several plug-ins of a group have the same name, the first one is used and shadows the others. Built-in ones come
first, so that no other distribution can change what a built-in name means.
"""

import dataclasses
import difflib
import importlib.metadata
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from vepscore.errors import PluginError, UsageError

log = logging.getLogger(__name__)

_OWN_DISTRIBUTION = "vepscore"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Group:
    """A group of entry points, `vepscore.KINDs`."""

    kind: str  # what its plug-ins are, for messages
    command: str  # lists them

    @property
    def name(self) -> str:
        """The name of the group in a distribution's metadata."""
        return f"vepscore.{self.kind}s"


SCORERS = Group(kind="scorer", command="vepscore scorers")
NETWORKS = Group(kind="network", command="vepscore weights families")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PluginEntry:
    """A plug-in of an installed distribution, not imported yet."""

    group: Group
    name: str
    target: str  # "module:object"
    distribution: str
    version: str  # of the distribution
    shadowed_by: str | None = None  # origin of the one that is used under this name; None if it is this one

    @property
    def module(self) -> str:
        """The module that is imported to load it."""
        return self.target.partition(":")[0].strip()

    @property
    def origin(self) -> str:
        """Distribution and version."""
        return f"{self.distribution} {self.version}"

    @property
    def is_builtin(self) -> bool:
        """Whether it is part of vepscore."""
        return self.distribution == _OWN_DISTRIBUTION


def list_plugins(group: Group) -> list[PluginEntry]:
    """Return all plug-ins of a group by name, built-in ones first; shadowed ones are included and marked."""
    entries = sorted(
        _installed_entries(group), key=lambda entry: (not entry.is_builtin, entry.name, entry.distribution)
    )
    used: dict[str, PluginEntry] = {}
    listed = []
    for entry in entries:
        first = used.setdefault(entry.name, entry)
        listed.append(entry if first is entry else dataclasses.replace(entry, shadowed_by=first.origin))
    return listed


def find_plugins(group: Group, names: Sequence[str]) -> list[PluginEntry]:
    """Return the plug-ins with these names, in this order, without duplicates.

    Raises:
        UsageError: some names are unknown; all of them are in the message.
    """
    known = {entry.name: entry for entry in list_plugins(group) if entry.shadowed_by is None}
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        lines = [f"no {group.kind} is named {name!r}{_suggestion(name, known)}" for name in unknown]
        raise UsageError("\n".join(lines), hint=f"`{group.command}` lists them all")
    return [known[name] for name in dict.fromkeys(names)]


def load_plugin(entry: PluginEntry, find_problem: Callable[[Any], str]) -> Any:
    """Import a plug-in.

    Args:
        entry: the plug-in.
        find_problem: returns how the object violates its contract, as far as it shows without running it; "" if it
            does not.

    Raises:
        PluginError: the import fails, or the object violates the contract.
    """
    entry_point = importlib.metadata.EntryPoint(entry.name, entry.target, entry.group.name)
    try:
        loaded = entry_point.load()
    except (Exception, SystemExit) as error:  # a plug-in may do anything when it is imported
        log.debug("%s could not be imported", entry.target, exc_info=True)
        raise _plugin_error(entry, _import_problem(error)) from error
    problem = find_problem(loaded)
    if problem:
        raise _plugin_error(entry, problem)
    return loaded


def _installed_entries(group: Group) -> Iterator[PluginEntry]:
    """Yield the entries of each distribution, the first of its name on the path; skip one that cannot be read."""
    seen = set()
    for distribution in importlib.metadata.distributions():
        # Most distributions have no plug-ins, and parsing their metadata is slow.
        if group.name not in (distribution.read_text("entry_points.txt") or ""):
            continue
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"] or "unnamed").lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            points = distribution.entry_points.select(group=group.name)
        except Exception as error:  # the parser of entry_points.txt may raise anything
            log.warning(
                "excluded: %ss of %s, whose entry_points.txt cannot be read: %s", group.kind, name, error
            )
            continue
        version = distribution.metadata["Version"] or "unknown"
        for point in points:
            yield PluginEntry(
                group=group, name=point.name, target=point.value, distribution=name, version=version
            )


def _import_problem(error: BaseException) -> str:
    problem = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError) and (error.name or "").startswith("vepscore."):
        problem += "\nit was written for another version of vepscore"
    return problem


def _plugin_error(entry: PluginEntry, problem: str) -> PluginError:
    remedy = "reinstall vepscore" if entry.is_builtin else f"update or uninstall {entry.distribution}"
    return PluginError(
        f"{entry.group.kind} {entry.name} of {entry.origin} (module {entry.module}) cannot be loaded\n{problem}",
        hint=f"{remedy}; --verbose shows where an import fails",
    )


def _suggestion(name: str, known: Iterable[str]) -> str:
    by_upper_case = {other.upper(): other for other in known}
    close = difflib.get_close_matches(name.upper(), by_upper_case)
    return f"; did you mean {', '.join(by_upper_case[match] for match in close)}?" if close else ""
