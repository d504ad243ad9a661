"""Assemblies of human and mouse, recognized by the lengths of their chromosomes and by their names."""

import collections
import re
from collections.abc import Iterable

# The lengths in bp of chromosomes 1, 2, … X and Y. No two assemblies have one in common.
# Source: the chrom.sizes of hg19, hg38, hs1, mm10 and mm39 at UCSC.
_LENGTHS = {
    "GRCh37": """249250621 243199373 198022430 191154276 180915260 171115067 159138663 146364022 141213431
        135534747 135006516 133851895 115169878 107349540 102531392 90354753 81195210 78077248 59128983 63025520
        48129895 51304566 155270560 59373566""",
    "GRCh38": """248956422 242193529 198295559 190214555 181538259 170805979 159345973 145138636 138394717
        133797422 135086622 133275309 114364328 107043718 101991189 90338345 83257441 80373285 58617616 64444167
        46709983 50818468 156040895 57227415""",
    "T2T-CHM13": """248387328 242696752 201105948 193574945 182045439 172126628 160567428 146259331 150617247
        134758134 135127769 133324548 113566686 101161492 99753195 96330374 84276897 80542538 61707364 66210255
        45090682 51324926 154259566 62460029""",
    "GRCm38": """195471971 182113224 160039680 156508116 151834684 149736546 145441459 129401213 124595110
        130694993 122082543 120129022 120421639 124902244 104043685 98207768 94987271 90702639 61431566 171031299
        91744698""",
    "GRCm39": """195154279 181755017 159745316 156860686 151758149 149588044 144995196 130127694 124359700
        130530862 121973369 120092757 120883175 125139656 104073951 98008968 95294699 90720763 61420004 169476592
        91455967""",
}
_ASSEMBLY_OF_LENGTH = {int(bp): name for name, lengths in _LENGTHS.items() for bp in lengths.split()}
_NAMES = {
    "GRCh37": "grch37|hg19|b37|hs37(?:d5)?|g1k_v37|assembly19",
    "GRCh38": "grch38|hg38|b38|hs38|assembly38",
    "T2T-CHM13": "(?:t2t-?)?chm13|hs1",
    "GRCm38": "grcm38|mm10",
    "GRCm39": "grcm39|mm39",
}
_PATTERNS = {
    name: re.compile(rf"(?<![a-z0-9])(?:{names})(?![0-9])", re.IGNORECASE) for name, names in _NAMES.items()
}


def assembly_of_length(length_bp: int) -> str:
    """Return the assembly that has a chromosome of this length; "" if none is known."""
    return _ASSEMBLY_OF_LENGTH.get(length_bp, "")


def assembly_of_lengths(lengths_bp: Iterable[int]) -> str:
    """Return the assembly that most of the lengths are of; "" if none is known."""
    found = collections.Counter(filter(None, map(assembly_of_length, lengths_bp)))
    return found.most_common(1)[0][0] if found else ""


def assembly_of_text(text: str) -> str:
    """Return the assembly that the text names; "" if it names none, or several."""
    found = [name for name, pattern in _PATTERNS.items() if pattern.search(text)]
    return found[0] if len(found) == 1 else ""
