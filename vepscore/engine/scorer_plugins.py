"""Find and load scorers; see `vepscore.plugins`."""

import logging
from collections.abc import Sequence

from vepscore.contract import Scorer
from vepscore.errors import PluginError
from vepscore.outputs import Output
from vepscore.plugins import SCORERS, PluginEntry, find_plugins, list_plugins, load_plugin

log = logging.getLogger(__name__)


def list_scorers() -> list[PluginEntry]:
    """Return all scorers by name, built-in ones first; shadowed ones are included and marked."""
    return list_plugins(SCORERS)


def find_entries(names: Sequence[str]) -> list[PluginEntry]:
    """Return the entries of the scorers with these names, in this order, without duplicates.

    Raises:
        UsageError: some names are unknown; all of them are in the message.
    """
    return find_plugins(SCORERS, names)


def load_scorer(entry: PluginEntry) -> Scorer:
    """Import one scorer.

    Raises:
        PluginError: the import fails, or the object is not a scorer of that name.
    """
    return load_plugin(entry, lambda scorer: _contract_problem(entry, scorer))


def load_scorers(names: Sequence[str] | None = None) -> list[Scorer]:
    """Import the scorers of these names; None for all, except those by name only and plug-ins that cannot be loaded.

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
    return [scorer for scorer in loaded if not scorer.by_name_only]


def _contract_problem(entry: PluginEntry, scorer: object) -> str:
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
