"""A toy genome with genes and coverage, and a recipe for a tiny network."""

import csv
from pathlib import Path

import numpy as np

BASES = np.array(list("ACGT"))
CHROM_BP = 20_480
REGION_START0, REGION_BP = 4_100, 4_096
CHROMS = ("chr1", "chr2", "chr3", "chr16")

RECIPE = """
name = "toy"
license = "Apache-2.0"
seed = 7

[data]
sequence = ["genome.fa"]
genes = "genes.gtf"
tracks = "signal.npz"
test = ["chr16"]
folds = [["chr2"], ["chr3"]]

[defaults]
window_bp = 16384
scorers = ["SPLICE_SITES"]

[network]
channels = 8
channel_step = 4
tower_layers = 1
attention_heads = 1
key_channels = 8
value_channels = 8
pair_channels = 4
pair_heads = 1
pair_key_channels = 8
position_features = 4
junction_channels = 4

[teachers]
peak_rate = 0.01
weights = { tracks = { CAGE = 1.0 } }
sampling = { hard_negatives = 0.5 }
stages = [
  { steps = 3, window_bp = 2048, windows = 2 },
  { steps = 3, window_bp = 2048, windows = 2, mine_hard_negatives = true },
]

[[student]]
from_teacher = 2
peak_rate = 0.01
weights = { log_coverage = 0.5 }
stages = [{ steps = 3, window_bp = 2048, windows = 2, sampling = { sites = 0.2, regions = 0.6, mutated = 0.04 } }]

[[student]]
peak_rate = 0.005
weights = { log_coverage = 6.0, tss = 0.5 }
sampling = { splice_site_mutation_rate = 0.5, negative_sites = 2 }
stages = [{ steps = 2, window_bp = 4096, windows = 1, measured = true }]
repeats = 2
weight_average = { student-1 = 0.25 }
teachers = ["student-1"]
"""


def write_toy(folder: Path) -> Path:
    """Write the recipe and all files that it names; return the path of the recipe."""
    rng = np.random.default_rng(0)
    with (folder / "genome.fa").open("w") as fasta:
        for chrom in CHROMS:
            fasta.write(f">{chrom}\n{''.join(BASES[rng.integers(0, 4, CHROM_BP)])}\n")
    (folder / "genes.gtf").write_text("".join(_gtf_lines()))
    tracks = [
        {"name": "cage+", "assay": "CAGE", "biosample": "x", "strand": "+", "strand_pair": "1"},
        {"name": "cage-", "assay": "CAGE", "biosample": "x", "strand": "-", "strand_pair": "0"},
        {"name": "dnase", "assay": "DNASE", "biosample": "x", "strand": ".", "strand_pair": "2"},
    ]
    _write_table(
        folder / "signal.tracks.tsv",
        [row | {"scale": "1", "sum_stat": "mean", "clip_soft": "32"} for row in tracks],
    )
    end0 = REGION_START0 + REGION_BP
    _write_table(
        folder / "signal.regions.tsv",
        [{"chrom": chrom, "start": REGION_START0, "end": end0, "split": "train"} for chrom in CHROMS],
    )
    signal = rng.gamma(0.5, 2.0, (len(CHROMS), REGION_BP // 32, len(tracks))).astype(np.float16)
    np.savez(folder / "signal.npz", signal=signal)
    (folder / "recipe.toml").write_text(RECIPE)
    return folder / "recipe.toml"


def _gtf_lines() -> list[str]:
    lines = []
    for chrom in CHROMS:
        for strand, start0 in (("+", 1_000), ("-", 8_000), ("+", 15_000)):
            attributes = (
                f'gene_id "{chrom}{start0}"; transcript_id "{chrom}{start0}"; gene_type "protein_coding";'
            )
            exons = [(start0 + 400 * number, start0 + 400 * number + 120) for number in range(4)]
            for kind, first, end in [
                ("transcript", exons[0][0], exons[-1][1]),
                *(("exon", *e) for e in exons),
            ]:
                lines.append(f"{chrom}\ttoy\t{kind}\t{first + 1}\t{end}\t.\t{strand}\t.\t{attributes}\n")
    return lines


def _write_table(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
