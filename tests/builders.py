"""A tiny genome and a tiny network, on disk, for tests that need whole runs.

The genome, 60 kb in all; coordinates are 0-based and half-open:

    chr1  30,000 bp  lower case in 5,000-6,000, ambiguity codes at 7,000 and 7,001, N in 24,000-24,500
          FIRST   200-3,000       +  protein_coding
          PLUS    12,000-18,000   +  protein_coding, two transcripts; overlaps MINUS
          LNC     14,900-15,300   +  lncRNA, one exon, within PLUS
          MINUS   15,500-20,000   -  protein_coding
          LAST    26,500-29,800   -  protein_coding
    chr2  24,000 bp  N in 2,000-22,000, but for an island of 100 known bases at 12,000
    chr3   6,000 bp  shorter than any window
          SMALL   1,000-5,000     +  protein_coding

The network has all eleven heads; each but SPLICE_SITES has padding channels, and lists its tracks out of order.
"""

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from flax import nnx

from vepscore.io.records import Record
from vepscore.model.checkpoint import CheckpointConfig, save_checkpoint
from vepscore.networks.alphagenome.config import ModelConfig
from vepscore.networks.alphagenome.network import AlphaGenome
from vepscore.outputs import Output, Tracks

WINDOW_BP = 16_384  # the smallest window

CONTIGS = {"chr1": 30_000, "chr2": 24_000, "chr3": 6_000}
N_STRETCHES = {"chr1": [(24_000, 24_500)], "chr2": [(2_000, 12_000), (12_100, 22_000)], "chr3": []}
ISLAND = ("chr2", 12_000, 12_100)
AMBIGUOUS = {7_000: "R", 7_001: "Y"}  # on chr1, instead of an A and a C
LOWER_CASE = slice(5_000, 6_000)  # of chr1

# gene → contig, type, strand, and for each transcript its exons
GENES = {
    "FIRST": ("chr1", "protein_coding", "+", [[(200, 500), (1_500, 1_700), (2_800, 3_000)]]),
    "PLUS": (
        "chr1",
        "protein_coding",
        "+",
        [[(12_000, 12_300), (14_000, 14_200), (17_600, 18_000)], [(12_100, 12_400), (17_600, 18_000)]],
    ),
    "LNC": ("chr1", "lncRNA", "+", [[(14_900, 15_300)]]),
    "MINUS": ("chr1", "protein_coding", "-", [[(15_500, 15_800), (17_000, 17_150), (19_700, 20_000)]]),
    "LAST": ("chr1", "protein_coding", "-", [[(26_500, 26_900), (28_000, 28_200), (29_500, 29_800)]]),
    "SMALL": ("chr3", "protein_coding", "+", [[(1_000, 1_200), (3_000, 3_100), (4_800, 5_000)]]),
}
POLYA = {"PLUS": [14_150, 17_700, 17_950], "MINUS": [15_510, 15_700], "SMALL": [3_050, 4_900, 4_990]}

# output → the network's channels, padding included, and the channel and strand of each real track
HEADS = {
    Output.ATAC: (4, (2, 0, 3), "..."),
    Output.DNASE: (4, (1, 0), ".."),
    Output.PROCAP: (3, (0, 2), "+-"),
    Output.CAGE: (4, (3, 1), "+-"),
    Output.RNA_SEQ: (5, (4, 0, 2), "+-."),
    Output.CHIP_TF: (3, (2, 1), ".."),
    Output.CHIP_HISTONE: (3, (1, 0), ".."),
    Output.CONTACT_MAPS: (3, (2, 0), ".."),
    Output.SPLICE_SITES: (5, (0, 1, 2, 3), "++--"),
    Output.SPLICE_SITE_USAGE: (5, (3, 0, 2), "+-+"),
    Output.SPLICE_JUNCTIONS: (4, (2, 0, 1), "..."),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TinyGenome:
    """The files of the genome."""

    fasta: Path
    gtf: Path
    polya: Path


@functools.cache
def sequences() -> dict[str, str]:
    """Return the bases of each contig, upper case."""
    rng = np.random.default_rng(20_260_801)
    contigs = {}
    for name, length in CONTIGS.items():
        bases = rng.choice(list("ACGT"), length)
        for start0, end0 in N_STRETCHES[name]:
            bases[start0:end0] = "N"
        if name == "chr1":
            bases[list(AMBIGUOUS)] = list(AMBIGUOUS.values())
        contigs[name] = "".join(bases)
    return contigs


def build_genome(folder: Path, contigs: Sequence[str] = tuple(CONTIGS)) -> TinyGenome:
    """Write the genome's files into `folder`; `contigs` are other names for chr1, chr2 and chr3."""
    names = dict(zip(CONTIGS, contigs, strict=True))
    genome = TinyGenome(fasta=folder / "tiny.fa", gtf=folder / "tiny.gtf", polya=folder / "polya.tsv")
    genome.fasta.write_text("".join(f">{names[name]}\n{_lines(name)}" for name in CONTIGS))
    genome.gtf.write_text(gtf_text())
    sites = [
        f"{gene}\t{GENES[gene][0]}\t{start0}\t{GENES[gene][2]}\n" for gene in POLYA for start0 in POLYA[gene]
    ]
    genome.polya.write_text("gene_id\tchrom\tstart\tstrand\n" + "".join(sites))
    return genome


def gtf_text() -> str:
    """Return the genes as a GTF in the style of GENCODE."""
    lines = []
    for gene_id, (chrom, gene_type, strand, transcripts) in GENES.items():
        names = f'gene_id "{gene_id}"; gene_type "{gene_type}"; gene_name "{gene_id.title()}";'
        everything = [exon for exons in transcripts for exon in exons]
        lines.append(_gtf_line(chrom, "gene", everything, strand, names))
        for number, exons in enumerate(transcripts):
            attributes = f'{names} transcript_id "{gene_id}.{number}"; transcript_type "{gene_type}";'
            lines.append(_gtf_line(chrom, "transcript", exons, strand, attributes))
            lines += [_gtf_line(chrom, "exon", [exon], strand, attributes) for exon in exons]
    return "".join(lines)


def vcf_row(chrom: str, pos0: int, ref_bp: int, *alts: str, name: str = ".") -> tuple[str, ...]:
    """Return CHROM … ALT of a record with REF from the genome; "~" is a base that differs from REF's first."""
    ref = sequences()[chrom][pos0 : pos0 + ref_bp]
    other = "ACGT"["ACGT".find(ref[0]) - 1]
    return chrom, str(pos0 + 1), name, ref, ",".join(alt.replace("~", other) for alt in alts) or "."


def make_records(*rows: Sequence[str]) -> list[Record]:
    """Return records as a reader would, from rows of CHROM POS ID REF ALT."""
    return [
        Record(
            index=index,
            chrom=chrom,
            pos1=int(pos1),
            id=name,
            ref=ref,
            alts=() if alt == "." else tuple(alt.split(",")),
            line="\t".join((chrom, pos1, name, ref, alt, ".", "PASS", ".")).encode(),
        )
        for index, (chrom, pos1, name, ref, alt) in enumerate(rows)
    ]


def write_vcf(path: Path, *rows: Sequence[str], meta: Sequence[str] = ("##fileformat=VCFv4.2",)) -> Path:
    """Write a VCF of the rows, each CHROM POS ID REF ALT."""
    columns = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
    body = ("\t".join(row) for row in (columns, *((*row, ".", "PASS", ".") for row in rows)))
    path.write_text("".join(f"{line}\n" for line in (*meta, *body)))
    return path


def tiny_config() -> ModelConfig:
    """Return the architecture of the network."""
    return ModelConfig(
        channels=8,
        channel_step=8,
        tower_layers=2,
        attention_heads=2,
        key_channels=8,
        value_channels=8,
        pair_channels=8,
        pair_heads=2,
        pair_key_channels=8,
        position_features=4,
        junction_channels=8,
        max_splice_sites=16,
        heads={output: channels for output, (channels, _, _) in HEADS.items()},
    )


def tiny_tracks() -> dict[Output, Tracks]:
    """Return the real tracks of every head."""
    return {output: _tracks(output, channels, strands) for output, (_, channels, strands) in HEADS.items()}


def tiny_network() -> AlphaGenome:
    """Return the network; its parameters and statistics are random but always the same. It has no track means."""
    network = nnx.eval_shape(lambda: AlphaGenome(tiny_config(), rngs=nnx.Rngs(0)))
    state = nnx.state(network, nnx.Any(nnx.Param, nnx.BatchStat))
    rng = np.random.default_rng(20_260_801)
    filled = [
        (path, leaf.replace(jnp.asarray(_random(str(path[-1]), leaf.shape, rng))))
        for path, leaf in nnx.to_flat_state(state)
    ]
    nnx.update(network, nnx.from_flat_state(filled))
    return network


def build_checkpoint(folder: Path, *, name: str = "tiny", **changes: object) -> Path:
    """Write the network as a checkpoint into `folder / name`; `changes` are other fields of its configuration."""
    config = CheckpointConfig(
        name=name,
        architecture=tiny_config(),
        organisms=("human", "mouse"),
        window_bp=WINDOW_BP,
        rotary_dtype="float32",
        license="Apache-2.0",
    )
    config = dataclasses.replace(config, **changes)
    save_checkpoint(folder / name, tiny_network(), config, {"human": tiny_tracks(), "mouse": tiny_tracks()})
    return folder / name


def _lines(name: str) -> str:
    bases = sequences()[name]
    if name == "chr1":
        soft = bases[LOWER_CASE].lower()
        bases = bases[: LOWER_CASE.start] + soft + bases[LOWER_CASE.stop :]
    return "".join(f"{bases[start : start + 60]}\n" for start in range(0, len(bases), 60))


def _gtf_line(chrom: str, feature: str, exons: list[tuple[int, int]], strand: str, attributes: str) -> str:
    start1, end1 = min(start0 for start0, _ in exons) + 1, max(end0 for _, end0 in exons)
    return f"{chrom}\ttest\t{feature}\t{start1}\t{end1}\t.\t{strand}\t.\t{attributes}\n"


def _tracks(output: Output, channels: tuple[int, ...], strands: str) -> Tracks:
    count = len(channels)
    return Tracks(
        output=output,
        name=np.array([f"{output} {number}" for number in range(count)], dtype=object),
        strand=np.array(list(strands), dtype=object),
        ontology_curie=np.array([f"UBERON:{number}" for number in range(count)], dtype=object),
        biosample_name=np.array([f"tissue {number}" for number in range(count)], dtype=object),
        assay=np.array([""] * count, dtype=object),
        nonzero_mean=np.linspace(0.5, 1.5, count, dtype=np.float32),
        channel=np.array(channels, np.int32),
    )


def _random(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return values of the magnitude that a trained parameter of that name has."""
    noise = rng.standard_normal(shape)
    if name in ("kernel", "weight"):
        fan_in = np.prod(shape[:-1]) if name == "kernel" else shape[-2]
        noise = noise / np.sqrt(fan_in)
    elif "scale" in name or "variance" in name:
        noise = 0.6 * np.exp(0.2 * noise)
    else:
        noise = 0.3 * noise
    return noise.astype(np.float32)
