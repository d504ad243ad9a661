"""ClinVar's pathogenic against benign variants near splice sites, by the splicing score of a scored VCF.

    python tests/benchmarks/clinvar_splicing.py select CLINVAR.vcf.gz GENES.gtf.gz > subset.vcf
    vepscore score subset.vcf -r GENOME.fa.gz -g GENES.gtf.gz -o scored.vcf.gz
    python tests/benchmarks/clinvar_splicing.py evaluate scored.vcf.gz GENES.gtf.gz

`select` takes the chr16 variants that are plainly pathogenic or plainly benign: all within NEAR_BP of a splice
site, and FAR of each kind from the rest, spread evenly. `evaluate` prints AUROC with a bootstrap interval.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from vepscore.genome.annotation import Annotation
from vepscore.genome.cache import cache_dir
from vepscore.io.records import open_records

CHROM = "chr16"
NEAR_BP = 20
FAR = 40
BOOTSTRAPS = 1000


class Labelled(NamedTuple):
    """A variant with a plain label."""

    line: bytes
    pathogenic: bool
    distance_bp: int  # from the nearest exon boundary, 0 for the bases on either side of it
    score: float  # VS_SPLICE, NaN where there is none


def read_labelled(path: str, annotation: Annotation) -> Iterator[Labelled]:
    """The chr16 variants whose label is plain."""
    boundaries = exon_boundaries(annotation)
    with open_records(path) as records:
        for record in records:
            info = dict(re.findall(r"([^=;]+)=([^;]*)", record.line.split(b"\t")[7].decode()))
            label = plain_label(info.get("CLNSIG", ""))
            if record.chrom == CHROM and label is not None:
                score = info.get("VS_SPLICE", ".")
                yield Labelled(
                    line=record.line,
                    pathogenic=label,
                    distance_bp=distance_to(boundaries, record.pos1 - 1, record.pos1 - 1 + len(record.ref)),
                    score=np.nan if score == "." else float(score),
                )


def plain_label(significance: str) -> bool | None:
    """True for pathogenic, False for benign, None where terms differ or say neither."""
    terms = set(significance.split("|")) - {"not_provided", "other"}
    if terms and terms <= {"Pathogenic", "Likely_pathogenic"}:
        return True
    return False if terms and terms <= {"Benign", "Likely_benign"} else None


def exon_boundaries(annotation: Annotation) -> np.ndarray:
    """0-based positions of the first bases of introns and of the first bases after them."""
    introns = annotation.introns(CHROM, 0, 2**31 - 1)
    return np.unique(np.concatenate([introns.start0, introns.end0]))


def distance_to(boundaries: np.ndarray, start0: int, end0: int) -> int:
    """Bases between [start0, end0) and the nearest boundary; 0 when the span touches it on either side."""
    index = np.searchsorted(boundaries, start0)
    near = boundaries[max(index - 1, 0) : index + 2]
    return int(np.min(np.maximum(np.maximum(start0 - near, near - end0), 0)))


def select(path: str, annotation: Annotation) -> None:
    """Writes the chosen records, with the header, to standard output."""
    labelled = list(read_labelled(path, annotation))
    chosen = {one.line for one in labelled if one.distance_bp <= NEAR_BP}
    for pathogenic in (True, False):
        far = [one.line for one in labelled if one.pathogenic is pathogenic and one.line not in chosen]
        chosen |= {far[i] for i in np.linspace(0, len(far) - 1, min(FAR, len(far))).astype(int)}
    with open_records(path) as records:
        sys.stdout.buffer.write(records.header.encode())
    sys.stdout.buffer.writelines(one.line + b"\n" for one in labelled if one.line in chosen)


def evaluate(path: str, annotation: Annotation) -> None:
    """Prints a line per stratum."""
    labelled = list(read_labelled(path, annotation))
    unscored = sum(np.isnan(one.score) for one in labelled)
    labelled = [one for one in labelled if not np.isnan(one.score)]
    near = [one for one in labelled if one.distance_bp <= NEAR_BP]
    strata = {
        f"within {NEAR_BP} bp of a splice site": near,
        "all": labelled,
    }
    print(f"{len(labelled)} with a score, {unscored} without")
    for name, members in strata.items():
        print(f"{name}: {summarize(members)}")


def summarize(members: list[Labelled]) -> str:
    """Counts, AUROC with a 95% bootstrap interval, and the AUROC of the distance from the nearest boundary."""
    labels = np.array([one.pathogenic for one in members])
    scores = np.array([one.score for one in members])
    rng = np.random.default_rng(0)
    resampled = []
    while len(resampled) < BOOTSTRAPS:
        index = rng.integers(0, len(labels), len(labels))
        if 0 < labels[index].sum() < len(index):
            resampled.append(roc_auc_score(labels[index], scores[index]))
    low, high = np.percentile(resampled, [2.5, 97.5])
    auroc = roc_auc_score(labels, scores)
    baseline = roc_auc_score(labels, [-one.distance_bp for one in members])
    return (
        f"{labels.sum()} pathogenic, {(~labels).sum()} benign, AUROC {auroc:.3f} ({low:.3f}-{high:.3f}); "
        f"by distance alone {baseline:.3f}"
    )


def main() -> None:
    """The two commands."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=("select", "evaluate"))
    parser.add_argument("vcf")
    parser.add_argument("genes")
    options = parser.parse_args()
    annotation = Annotation.from_gtf(options.genes, cache_dir())
    {"select": select, "evaluate": evaluate}[options.command](options.vcf, annotation)


if __name__ == "__main__":
    main()
