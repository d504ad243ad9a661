"""A SYNTHETIC contig with genes that a splice model trained on human genes recognises.

Nothing here is human sequence. Everything is drawn from a seeded random generator: exons of codons at human
usage with splicing enhancers, introns of AT-richer background with human dinucleotide frequencies, and splice
sites from the base frequencies of human introns. Chance look-alikes of a splice site are changed, so that the
sites in the annotation are the only ones.

Coordinates are 0-based and half-open; "sense" ones run along the gene's own strand from its 5' end.
"""

import dataclasses

import numpy as np

# Parameters to tune. Frequencies are per cent, rows in the order A C G T.
SEED = 20_260_101
CONTIG = "synthetic1"
CONTIG_BP = 300_000
MARGIN_BP = 66_000  # without genes at either end, so that a 128 kb window around a gene has no N
GAP_BP = 2_000  # between genes, at least
EXON_BP = (100, 200)
INTRON_BP = (500, 5_000)
LONG_INTRON_BP = 4_000  # an intron that hides a near-exon, so that no true site is close to it
ENHANCERS = ("GAAGAA", "GAAGAC", "CAAGAA", "GAAGCA", "ATGAAG")
ENHANCER_SHARE = 0.15  # of the hexamers of an exon
SITE_SHARPNESS = 2.0  # 1 draws sites as human genes have them, more draws closer to the consensus
BRANCH_POINT = "TACTAAC"
POLYPYRIMIDINE_BP = 22
DECOY_BITS = 4.0  # look-alikes that fit a splice site better than this are changed
WEAK_DONOR = "CTGGTGAGT"  # leans on its G at +5
NEAR_DONOR, MADE_DONOR = "CAGGAAAGT", "CAGGTAAGT"
NEAR_ACCEPTOR = "CAT"  # not CAA: exons begin with G, and would make it an AG one base later
PARTNER_DONOR, PARTNER_ACCEPTOR = "AAGGTTTGT", "AAG"  # of near-exons: weak, so that they gain as well

# MAG|GTRAGT: the last three bases of the exon and the first six of the intron, human RefSeq introns of hg38.
DONOR = np.array(
    [
        [35, 65, 11, 0, 0, 61, 69, 9, 18],
        [35, 12, 3, 0, 0, 2, 8, 6, 16],
        [18, 11, 79, 100, 0, 34, 12, 78, 18],
        [12, 12, 7, 0, 100, 3, 11, 7, 48],
    ]
)
POLYPYRIMIDINE = np.array([10, 30, 10, 50])
ACCEPTOR_END = np.array([[23, 6, 100, 0], [27, 66, 0, 0], [22, 0, 0, 100], [28, 28, 0, 0]])  # NYAG
ACCEPTOR = np.hstack([np.tile(POLYPYRIMIDINE[:, None], POLYPYRIMIDINE_BP), ACCEPTOR_END])
# From the row's base to the column's, inside human RefSeq introns; CG is rare.
BACKGROUND_STEPS = np.array([[30, 18, 28, 24], [31, 29, 7, 33], [25, 22, 29, 24], [19, 21, 27, 33]])
# Human codons per thousand, codons in the order AAA AAC AAG AAT ACA … TTT; without stop codons.
CODONS_PER_THOUSAND = """
    24.4 19.1 31.9 17.0 15.1 18.9 6.1 13.1 12.2 19.5 12.0 12.1 7.5 20.8 22.0 16.0
    12.3 15.1 34.2 10.9 16.9 19.8 6.9 17.5 6.2 10.4 11.4 4.5 7.2 19.6 39.6 13.2
    29.0 25.1 39.6 21.8 15.8 27.7 7.4 18.4 16.5 22.2 16.5 10.8 7.1 14.5 28.1 11.0
    0 15.3 0 12.2 12.2 17.7 4.4 15.2 0 12.6 13.2 10.6 7.7 20.3 12.9 17.6
"""
A, C, G, T = range(4)
CODON_USAGE = np.array([float(number) for number in CODONS_PER_THOUSAND.split()])
CODONS = np.stack(np.unravel_index(np.arange(64), (4, 4, 4)), axis=1).astype(np.uint8)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What one gene shall have."""

    name: str
    strand: str
    exon_count: int
    near_donor_intron: int | None = None  # 0-based intron that hides a near-exon whose donor lacks one base
    near_acceptor_intron: int | None = None  # the same, its acceptor lacks one base
    weak_donor_exon: int | None = None  # 0-based exon that ends in WEAK_DONOR


PLANS = (
    Plan(name="SYN1", strand="+", exon_count=7),
    Plan(name="SYN2", strand="-", exon_count=8),
    Plan(name="SYN3", strand="+", exon_count=6, near_donor_intron=2),
    Plan(name="SYN4", strand="-", exon_count=6, near_acceptor_intron=3),
    Plan(name="SYN5", strand="+", exon_count=9, weak_donor_exon=4),
    Plan(name="SYN6", strand="-", exon_count=7),
    Plan(name="SYN7", strand="+", exon_count=8),
    Plan(name="SYN8", strand="-", exon_count=5),
)


@dataclasses.dataclass(kw_only=True)
class Gene:
    """A gene, built from its 5' end on, then placed on the contig."""

    plan: Plan
    codes: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0, np.uint8))
    exons: list[tuple[int, int]] = dataclasses.field(default_factory=list)  # sense
    sites: list[tuple[int, int]] = dataclasses.field(default_factory=list)  # sense; stay as drawn
    near_exon: tuple[int, int] | None = None  # sense; the hidden exon that lacks one base of a site
    start0: int = -1  # on the contig

    @property
    def end0(self) -> int:
        return self.start0 + len(self.codes)

    def add(self, codes: np.ndarray) -> int:
        """Append, and say where the gene ends now."""
        self.codes = np.concatenate([self.codes, codes])
        return len(self.codes)

    def span_on_contig(self, start: int, end: int) -> tuple[int, int]:
        """A sense interval as contig coordinates."""
        if self.plan.strand == "+":
            return self.start0 + start, self.start0 + end
        return self.end0 - end, self.end0 - start


def encode(text: str) -> np.ndarray:
    return np.array(["ACGT".index(base) for base in text], np.uint8)


def decode(codes: np.ndarray) -> str:
    return "".join("ACGT"[code] for code in codes)


def reverse_complement(codes: np.ndarray) -> np.ndarray:
    return (3 - codes)[::-1]


def draw_columns(rng: np.random.Generator, frequencies: np.ndarray) -> np.ndarray:
    """One base per column, the frequencies sharpened by SITE_SHARPNESS."""
    weights = frequencies.astype(float) ** SITE_SHARPNESS
    return np.array([rng.choice(4, p=column / column.sum()) for column in weights.T], np.uint8)


def draw_background(rng: np.random.Generator, length_bp: int) -> np.ndarray:
    """Introns and the space between genes: each base depends on the one before."""
    limits = np.cumsum(BACKGROUND_STEPS / BACKGROUND_STEPS.sum(axis=1, keepdims=True), axis=1).tolist()
    codes = np.empty(length_bp, np.uint8)
    base = 0
    for index, x in enumerate(rng.random(length_bp).tolist()):
        low, middle, high, _ = limits[base]
        base = (x > low) + (x > middle) + (x > high)
        codes[index] = base
    return codes


def draw_exon(rng: np.random.Generator) -> np.ndarray:
    """Codons at human usage, here and there a splicing enhancer; the first base is G."""
    length_bp = int(rng.integers(EXON_BP[0], EXON_BP[1] + 1))
    hexamer_count = length_bp // 6 + 1
    codons = CODONS[rng.choice(64, size=(hexamer_count, 2), p=CODON_USAGE / CODON_USAGE.sum())]
    hexamers = codons.reshape(hexamer_count, 6)
    for index in np.flatnonzero(rng.random(hexamer_count) < ENHANCER_SHARE):
        hexamers[index] = encode(ENHANCERS[rng.integers(len(ENHANCERS))])
    codes = hexamers.reshape(-1)[:length_bp].copy()
    codes[0] = G
    return codes


def draw_acceptor(rng: np.random.Generator, end: str = "") -> np.ndarray:
    """Branch point, polypyrimidine tract without AG, NYAG; `end` replaces the last bases."""
    codes = draw_columns(rng, ACCEPTOR)
    tract = codes[: POLYPYRIMIDINE_BP + 1]
    tract[tract == A] = T
    if end:
        codes[-len(end) :] = encode(end)
    return np.concatenate([encode(BRANCH_POINT), codes])


def add_exon(rng: np.random.Generator, gene: Gene, donor: np.ndarray | None) -> tuple[int, int]:
    """Append an exon and, where there is a donor, the intron's first six bases."""
    start = len(gene.codes)
    codes = draw_exon(rng)
    if donor is not None:
        codes[-3:] = donor[:3]
    end = gene.add(codes)
    if donor is not None:
        gene.add(donor[3:])
        gene.sites.append((end - 3, end + 6))
    return start, end


def add_acceptor(rng: np.random.Generator, gene: Gene, end: str = "") -> None:
    codes = draw_acceptor(rng, end)
    stop = gene.add(codes)
    gene.sites.append((stop - len(codes), stop + 1))


def add_intron(rng: np.random.Generator, gene: Gene, index: int) -> None:
    """Append an intron from its seventh base to its acceptor, a near-exon in the middle where planned."""
    near_donor = index == gene.plan.near_donor_intron
    near_acceptor = index == gene.plan.near_acceptor_intron
    hides_exon = near_donor or near_acceptor
    length_bp = int(rng.integers(LONG_INTRON_BP if hides_exon else INTRON_BP[0], INTRON_BP[1] + 1))
    gene.add(draw_background(rng, length_bp // 2))
    if hides_exon:
        add_acceptor(rng, gene, NEAR_ACCEPTOR if near_acceptor else PARTNER_ACCEPTOR)
        gene.near_exon = add_exon(rng, gene, encode(NEAR_DONOR if near_donor else PARTNER_DONOR))
    gene.add(draw_background(rng, length_bp - length_bp // 2))
    add_acceptor(rng, gene)


def make_gene(rng: np.random.Generator, plan: Plan) -> Gene:
    gene = Gene(plan=plan)
    for index in range(plan.exon_count):
        if index:
            add_intron(rng, gene, index - 1)
        donor = encode(WEAK_DONOR) if index == plan.weak_donor_exon else draw_columns(rng, DONOR)
        gene.exons.append(add_exon(rng, gene, None if index == plan.exon_count - 1 else donor))
    return gene


def place_genes(rng: np.random.Generator, genes: list[Gene]) -> np.ndarray:
    """The contig, with the genes at even distances; sets their `start0`."""
    contig = draw_background(rng, CONTIG_BP)
    free_bp = CONTIG_BP - 2 * MARGIN_BP - sum(len(gene.codes) for gene in genes)
    gap_bp = free_bp // (len(genes) - 1)
    if gap_bp < GAP_BP:
        raise ValueError(f"the genes leave gaps of {gap_bp} bp, wanted {GAP_BP}: raise CONTIG_BP")
    start0 = MARGIN_BP
    for gene in genes:
        gene.start0 = start0
        contig[start0 : gene.end0] = gene.codes if gene.plan.strand == "+" else reverse_complement(gene.codes)
        start0 = gene.end0 + gap_bp
    return contig


def find_look_alikes(codes: np.ndarray, frequencies: np.ndarray, offset: int) -> np.ndarray:
    """Positions, `offset` into each window that fits the frequencies by more than DECOY_BITS."""
    bits = np.log2(np.maximum(frequencies / frequencies.sum(axis=0), 1e-3) / 0.25)
    windows = np.lib.stride_tricks.sliding_window_view(codes, frequencies.shape[1])
    fit = bits[windows, np.arange(frequencies.shape[1])].sum(axis=1)
    return np.flatnonzero(fit > DECOY_BITS) + offset


def silence_look_alikes(contig: np.ndarray, keep: np.ndarray) -> None:
    """Turn the GT and AG of chance splice sites into GC and AC, on one strand, in place.

    Args:
        contig: codes, one strand of the contig.
        keep: bool, the same length; bases that stay as they are.
    """
    for frequencies, offset in ((DONOR, 4), (ACCEPTOR, ACCEPTOR.shape[1] - 1)):
        found = find_look_alikes(contig, frequencies, offset)
        contig[found[~keep[found]]] = C


def make_contig(rng: np.random.Generator, genes: list[Gene]) -> np.ndarray:
    contig = place_genes(rng, genes)
    keep = np.zeros(CONTIG_BP, bool)
    for gene in genes:
        for start, end in gene.sites:
            keep[slice(*gene.span_on_contig(start, end))] = True
    silence_look_alikes(contig, keep)
    other_strand = reverse_complement(contig).copy()
    silence_look_alikes(other_strand, keep[::-1])
    return reverse_complement(other_strand)


def make_genome() -> tuple[np.ndarray, list[Gene]]:
    """The contig's codes and its genes, the same at every call."""
    rng = np.random.default_rng(SEED)
    genes = [make_gene(rng, plan) for plan in PLANS]
    return make_contig(rng, genes), genes
