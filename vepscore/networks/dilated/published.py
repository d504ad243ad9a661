"""The published ensembles: names, licenses, notices and tracks."""

import dataclasses
from typing import Literal

from vepscore.networks.dilated.dilated_config import STRANDS, PangolinConfig
from vepscore.networks.targets import create_tracks
from vepscore.outputs import SPLICE_CLASSES, Output, Tracks


@dataclasses.dataclass(frozen=True, kw_only=True)
class Publication:
    """What a checkpoint says about where its weights are from."""

    name: str
    license: str  # SPDX identifier
    terms_notice: str  # repeated in every output
    citation: str
    program: Literal["spliceai", "cispliceai"] | None = None  # see `SpliceAIConfig.program`


SPLICEAI = Publication(
    name="spliceai",
    license="CC-BY-NC-4.0",
    terms_notice="SpliceAI models (Illumina, Inc.): CC BY-NC 4.0, academic and non-commercial use only; any other use "
    "requires a commercial license from Illumina, Inc. https://creativecommons.org/licenses/by-nc/4.0/",
    citation="Jaganathan et al., Cell 2019, doi:10.1016/j.cell.2018.12.015",
    program="spliceai",
)
CI_SPLICEAI = Publication(
    name="ci-spliceai",
    license="CC-BY-4.0",
    terms_notice="CI-SpliceAI (Strauch et al., PLOS One 2022, doi:10.1371/journal.pone.0269159): CC BY 4.0, converted "
    "to another format. https://creativecommons.org/licenses/by/4.0/",
    citation="Strauch et al., PLOS One 2022, doi:10.1371/journal.pone.0269159",
    program="cispliceai",
)
OPENSPLICEAI = Publication(
    name="openspliceai",
    license="GPL-3.0-only",
    terms_notice="OpenSpliceAI (Chao et al., eLife 2025): GNU General Public License, version 3, without any warranty; "
    "weights converted to another format. https://www.gnu.org/licenses/gpl-3.0.html",
    citation="Chao et al., eLife 2025, doi:10.7554/eLife.107454",
    program="spliceai",  # its own has the same rules
)
SPLICEFORMER = Publication(
    name="spliceformer-spliceai-10k",
    license="MIT",
    terms_notice="SpliceAI-10k of Spliceformer: copyright (c) 2024 Benedikt Atli Jónsson, MIT License, "
    "https://github.com/benniatli/Spliceformer/blob/main/LICENSE",
    citation="Jónsson et al., Communications Biology 2024, doi:10.1038/s42003-024-07298-9",
)
PANGOLIN = Publication(
    name="pangolin",
    license="GPL-3.0-only",
    terms_notice="Pangolin (Zeng & Li, Genome Biology 2022): GNU General Public License, version 3, without any "
    "warranty; weights converted to another format. https://www.gnu.org/licenses/gpl-3.0.html",
    citation="Zeng & Li, Genome Biology 2022, doi:10.1186/s13059-022-02664-4",
)

# In the order of the networks' numbers.
PANGOLIN_TISSUES = {
    "heart": "UBERON:0000948",
    "liver": "UBERON:0002107",
    "brain": "UBERON:0000955",
    "testis": "UBERON:0000473",
}
PANGOLIN_QUANTITIES = ("splice_site", "usage")


def spliceai_tracks(name: str) -> dict[Output, Tracks]:
    """Return the tracks of a network that classifies splice sites."""
    sites = [site[:-1] for site in SPLICE_CLASSES]
    tracks = create_tracks(
        Output.SPLICE_SITES,
        name=sites,
        strand=[site[-1] for site in SPLICE_CLASSES],
        biosample_name=[""] * len(sites),
        assay=[name] * len(sites),
    )
    return {Output.SPLICE_SITES: tracks}


def pangolin_tracks(config: PangolinConfig) -> dict[Output, Tracks]:
    """Return the tracks of Pangolin.

    They are tracks of SPLICE_SITE_USAGE, because they are, by tissue and strand, numbers from 0 to 1 that do not tell
    donors from acceptors. SPLICE_SITES has exactly four tracks, which do.
    """
    rows = [
        (quantity, tissue, strand)
        for strand in STRANDS
        for quantity in PANGOLIN_QUANTITIES[: config.quantities]
        for tissue in PANGOLIN_TISSUES
    ]
    tracks = create_tracks(
        Output.SPLICE_SITE_USAGE,
        name=[f"{tissue}_{quantity}" for quantity, tissue, _ in rows],
        strand=[strand for *_, strand in rows],
        ontology_curie=[PANGOLIN_TISSUES[tissue] for _, tissue, _ in rows],
        biosample_name=[tissue for _, tissue, _ in rows],
        assay=[f"pangolin {quantity}" for quantity, *_ in rows],
    )
    return {Output.SPLICE_SITE_USAGE: tracks}
