"""Join the two windows of an indel: which bins of the trunk, and which pairs, are those of the right-anchored one."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from vepscore.genome.alignment import choose_right_bins, choose_right_pairs
from vepscore.model.allele_plan import AllelePlan
from vepscore.networks.alphagenome.config import TRUNK_BIN_BP
from vepscore.outputs import PAIR_BIN_BP, Output

Pairs = Float[Array, "pairs pairs features"]


def right_bins(plan: AllelePlan, *, reverse: bool) -> Bool[np.ndarray, " window"]:
    """Return which bins of the trunk are those of the right-anchored window, as the network sees them."""
    is_right = choose_right_bins(TRUNK_BIN_BP, plan.allele.site.allele, plan.allele.site.window)
    return is_right[::-1].copy() if reverse else is_right


def join_pairs(left: Pairs, right: Pairs, plan: AllelePlan, *, reverse: bool) -> Pairs:
    """Return the pair representation of an alternate allele with two windows that are not joined.

    It is that of the left-anchored window if no scorer reads contacts.
    """
    if not any(Output.CONTACT_MAPS in group.outputs for group in plan.groups):
        return left
    is_right = choose_right_pairs(PAIR_BIN_BP, plan.allele.site.allele, plan.allele.site.window)
    return jnp.where((is_right[::-1, ::-1] if reverse else is_right)[..., None], right, left)
