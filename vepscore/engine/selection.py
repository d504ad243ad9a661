"""Select the scorers of a run: those that the user named or the checkpoint's defaults, if they can run."""

import dataclasses
import logging
from collections.abc import Mapping, Sequence

from vepscore.contract import Scorer
from vepscore.engine.scorer_plugins import find_entries, list_scorers, load_scorer, load_scorers
from vepscore.errors import UsageError
from vepscore.io.run_metadata import ON_REQUEST
from vepscore.model.allele_plan import needed_outputs
from vepscore.model.checkpoint import Checkpoint
from vepscore.options import ALL_SCORERS

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """The scorers that a run should have, whether or not they can run."""

    scorers: tuple[Scorer, ...]
    required: frozenset[str] = (
        frozenset()
    )  # names that the user gave; it is an error if one of these cannot run
    others: tuple[Scorer, ...] = ()  # built-in scorers that are not among the checkpoint's defaults
    missing: Mapping[str, str] = dataclasses.field(default_factory=dict)  # defaults that do not exist → why


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection:
    """The scorers to run, and the names of excluded scorers with the reason."""

    scorers: tuple[Scorer, ...]
    excluded: dict[str, str]

    @property
    def on_request(self) -> tuple[str, ...]:
        """Names of the scorers that could run, but are not among the checkpoint's defaults."""
        return tuple(name for name, reason in self.excluded.items() if reason == ON_REQUEST)


def choose_scorers(named: Sequence[str] | None, defaults: Sequence[str] | None) -> Choice:
    """Load the scorers that a run should have.

    Args:
        named: names given by the user, which may include ALL_SCORERS; None for the defaults.
        defaults: names of the checkpoint's default scorers; None for all scorers.

    Raises:
        UsageError: a name that the user gave is unknown.
        PluginError: a scorer that was named, or a built-in one, cannot be loaded.
    """
    if named is None:
        return Choice(scorers=tuple(load_scorers())) if defaults is None else _choose_defaults(defaults)
    required = [name for name in named if name != ALL_SCORERS]
    scorers = load_scorers(required)
    if ALL_SCORERS in named:
        own = _choose_defaults(defaults).scorers if defaults else ()
        scorers = [*dict.fromkeys([*load_scorers(), *scorers, *own])]
    return Choice(scorers=tuple(scorers), required=frozenset(required))


def _choose_defaults(names: Sequence[str]) -> Choice:
    """Load a checkpoint's default scorers; skip an unknown name with a warning."""
    known = {entry.name: entry for entry in list_scorers() if entry.shadowed_by is None}
    missing = {name: "is not installed" for name in names if name not in known}
    if missing:
        log.warning("default scorers of the checkpoint that are not installed: %s", ", ".join(missing))
    others = [load_scorer(entry) for name, entry in known.items() if name not in names and entry.is_builtin]
    return Choice(
        scorers=tuple(map(load_scorer, find_entries([name for name in names if name in known]))),
        others=tuple(scorer for scorer in others if not scorer.by_name_only),
        missing=missing,
    )


def select_scorers(choice: Choice, checkpoint: Checkpoint, *, has_genes: bool, has_polya: bool) -> Selection:
    """Select the scorers that can run.

    Args:
        choice: the candidates, in order.
        checkpoint: the checkpoint to predict with.
        has_genes: the run has an annotation.
        has_polya: the run has poly(A) sites.

    Raises:
        UsageError: none can run, or one that the user named cannot run.
    """

    def find_problems(scorers: Sequence[Scorer]) -> dict[str, str]:
        problems = {
            scorer.name: _why_not(scorer, checkpoint, has_genes=has_genes, has_polya=has_polya)
            for scorer in checkpoint.network.replace_own(scorers)
        }
        return {name: problem for name, problem in problems.items() if problem}

    excluded = {**choice.missing, **find_problems(choice.scorers)}
    kept = tuple(scorer for scorer in choice.scorers if scorer.name not in excluded)
    if failed := {name: why for name, why in excluded.items() if not kept or name in choice.required}:
        raise _cannot_run(failed, of_defaults=bool(choice.others))
    others = dict.fromkeys((scorer.name for scorer in choice.others), ON_REQUEST)
    return Selection(scorers=kept, excluded=excluded | others | find_problems(choice.others))


def _cannot_run(reasons: Mapping[str, str], *, of_defaults: bool) -> UsageError:
    what = "the checkpoint's default scorers" if of_defaults else "requested scorers"
    hint = (
        "pass the files that they need; or name others with -s, or -s all for every scorer that can run"
        if of_defaults
        else "`vepscore weights info` lists what a checkpoint predicts"
    )
    return UsageError(
        "\n".join([f"{what} cannot run", *(f"{name}: {reason}" for name, reason in reasons.items())]),
        hint=hint,
    )


def _why_not(scorer: Scorer, checkpoint: Checkpoint, *, has_genes: bool, has_polya: bool) -> str:
    if not needed_outputs(scorer) <= checkpoint.tracks.keys():
        return "not predicted by this checkpoint"
    if scorer.needs_genes and not has_genes:
        return "needs genes: pass --genes"
    if scorer.needs_polya and not has_polya:
        return "needs poly(A) sites: pass --polya"
    return ""
