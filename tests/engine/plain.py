"""Compute all built-in scores plainly: predictions of whole windows of both alleles, then formulas in numpy.

Nothing here is taken from the engine, the scorers, the alignment's index map or the annotation: genes and
poly(A) sites come from the tables of `tests.builders`. Only the network, its heads and the table of its tracks
are those of the package.

Array axes: S positions or bins of the window, T real tracks, K junction sites per class.
"""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from tests.builders import GENES, POLYA
from vepscore.genome.alleles import Allele
from vepscore.genome.windows import Window
from vepscore.model.allele_plan import ReadyAllele
from vepscore.model.checkpoint import Checkpoint
from vepscore.model.network import LOADED_ORGANISM
from vepscore.networks.alphagenome.config import scored_resolution_bp
from vepscore.networks.alphagenome.network import AlphaGenome, Embeddings
from vepscore.outputs import Output, Tracks

Scores = dict[tuple, np.ndarray]  # row, such as (gene,) or (gene, start, end), to (T,)

CENTER_WIDTH_BP = {
    Output.ATAC: 501,
    Output.DNASE: 501,
    Output.CAGE: 501,
    Output.PROCAP: 501,
    Output.CHIP_TF: 501,
    Output.CHIP_HISTONE: 2001,
}

# The index of each track's partner on the other strand; outputs without partners are omitted.
COUNTERPARTS = {
    Output.PROCAP: [1, 0],
    Output.CAGE: [1, 0],
    Output.RNA_SEQ: [1, 0, 2],
    Output.SPLICE_SITES: [2, 3, 0, 1],
    Output.SPLICE_SITE_USAGE: [1, 0, 2],
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prediction:
    """The network's predictions of one window."""

    embedding: np.ndarray  # float32 (S, C), at 1 bp
    tracks: dict[Output, np.ndarray]  # float32 (S, T); (S, S, T) for contact maps; no junctions


class PlainScorer:
    """Scores alleles one by one, and shares nothing between them.

    On strand "-" the network is given the reverse complement of every window, and its predictions are mirrored.
    """

    def __init__(self, checkpoint: Checkpoint, *, strand: str = "+") -> None:
        self.config = checkpoint.network.config
        self.tracks = checkpoint.tracks
        self.strand = strand
        graph, self._state = nnx.split(checkpoint.network)
        self._organism = LOADED_ORGANISM
        self._predict_window = jax.jit(functools.partial(_predict_window, graph))
        self._predict_two = jax.jit(functools.partial(_predict_two, graph))
        self._predict_counts = jax.jit(functools.partial(_predict_counts, graph))

    def score(self, allele: ReadyAllele) -> dict[str, Scores]:
        """Return every score by scorer and row; scorers without rows are omitted."""
        case = self.predict(allele)
        scores = dict(case.center_masks())
        scores |= {"CONTACT_MAPS": case.contact_maps(), "POLYADENYLATION": case.polyadenylation()}
        scores |= dict(case.gene_expression())
        scores |= {
            str(output): case.splicing(output) for output in (Output.SPLICE_SITES, Output.SPLICE_SITE_USAGE)
        }
        scores["SPLICE_EVENTS"] = case.splice_events()
        scores["SPLICE_JUNCTIONS"] = self._junctions(case)
        return {name: rows for name, rows in scores.items() if rows}

    def predict(self, allele: ReadyAllele) -> "Case":
        """Predict all windows."""
        changed = allele.site.allele
        if len(allele.alternates) < 2:
            (codes,) = allele.alternates or (allele.reference_codes,)
            alternates = [self._predict(codes), None]
        elif abs(len(changed.alt) - len(changed.ref)) <= 64:
            alternates = self._predict_joined(allele)
        else:
            alternates = [self._predict(codes) for codes in allele.alternates]
        return Case(
            allele=changed,
            window=allele.site.window,
            tracks=self.tracks,
            reference=self._predict(allele.reference_codes),
            alternate=alternates[0],
            right=alternates[1],
        )

    def _predict_joined(self, allele: ReadyAllele) -> list[Prediction]:
        """Predict both windows of an indel from one trunk, each bin from the window that most of its bases are in."""
        changed, window = allele.site.allele, allele.site.window
        first = changed.pos0 - window.start0
        side = np.zeros(window.width_bp)
        side[changed.end0 - window.start0 :] = 1
        side[first + len(changed.alt) : first + len(changed.ref)] = 0.5
        is_right = side.reshape(-1, 128).mean(axis=1) > 0.5
        if self.strand == "-":
            is_right = is_right[::-1]
        codes = [self._seen(each) for each in allele.alternates]
        found = jax.device_get(self._predict_two(self._state, np.stack(codes), is_right, self._organism))
        return [self._prediction(*each) for each in found]

    def _predict(self, codes: np.ndarray) -> Prediction:
        codes = self._seen(codes)
        return self._prediction(*jax.device_get(self._predict_window(self._state, codes, self._organism)))

    def _seen(self, codes: np.ndarray) -> np.ndarray:
        """Return the window as the network sees it."""
        return codes if self.strand == "+" else np.array([3, 2, 1, 0, 4], np.uint8)[codes[::-1]]

    def _prediction(self, embedding: np.ndarray, tracks: dict[Output, np.ndarray]) -> Prediction:
        real = {output: values[..., self.tracks[output].channel] for output, values in tracks.items()}
        if self.strand == "-":
            embedding, real = embedding[::-1], {output: _mirror(output, real[output]) for output in real}
        return Prediction(embedding=embedding, tracks=real)

    def _count(self, embedding: np.ndarray, sites: np.ndarray) -> np.ndarray:
        """Return the counts between the sites, float32 (K, K, 2, T), by donor, acceptor, strand and tissue."""
        at_sites = np.where((sites >= 0)[..., None], embedding[sites], 0)
        if self.strand == "-":
            at_sites, sites = at_sites[[2, 3, 0, 1]], sites[[2, 3, 0, 1]]
            sites = np.where(sites < 0, -1, len(embedding) - 1 - sites)
        counts = np.asarray(self._predict_counts(self._state, at_sites, sites, self._organism))
        counts = counts[..., self.tracks[Output.SPLICE_JUNCTIONS].channel]
        return counts[:, :, [1, 0]] if self.strand == "-" else counts

    def _junctions(self, case: "Case") -> Scores:
        genes = [gene for gene in case.overlapped() if GENES[gene][1] == "protein_coding"]
        if not genes:
            return {}
        sites = case.junction_sites(self.config.max_splice_sites, self.config.splice_site_threshold)
        reference = self._count(case.reference.embedding, sites)
        embeddings = [each and each.embedding for each in (case.alternate, case.right)]
        alternate = self._count(case.align(*embeddings), sites)
        change = np.abs(np.log(alternate + 1e-7) - np.log(reference + 1e-7)).astype(np.float16)
        scores: Scores = {}
        for gene in genes:
            scores |= case.junctions_of(gene, sites, change.astype(np.float32))
        return scores


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One allele with the predictions of all its windows."""

    allele: Allele
    window: Window
    tracks: Mapping[Output, Tracks]
    reference: Prediction
    alternate: Prediction
    right: Prediction | None  # of the alternate's right-anchored window

    def align(self, signal: np.ndarray, right: np.ndarray | None) -> np.ndarray:
        """Return the alternate's signal in reference coordinates: the maximum of inserted bases, 0 at deleted ones."""
        aligned = self._align_left(signal)
        if right is None:
            return aligned
        ref_end = self.allele.end0 - self.window.start0
        largest = signal[self._anchor() : self._anchor() + 1 + max(self.allele.inserted_bp, 0)].max(axis=0)
        deleted = np.zeros((max(-self.allele.inserted_bp, 0), signal.shape[1]), signal.dtype)
        return np.concatenate([signal[: self._anchor()], largest[None], deleted, right[ref_end:]])

    def _anchor(self) -> int:
        return self.allele.pos0 - self.window.start0 + min(len(self.allele.ref), len(self.allele.alt)) - 1

    def in_phase(self, output: Output) -> np.ndarray:
        """Return the alternate's signal in bins of 128 bp, each from the window that most of its bases are in."""
        left, right = (each.tracks[output] for each in (self.alternate, self.right))
        first = self.allele.pos0 - self.window.start0
        owner = np.full(self.window.width_bp, "L")
        owner[self.allele.end0 - self.window.start0 :] = "R"
        owner[first + len(self.allele.alt) : first + len(self.allele.ref)] = "-"
        inserted = np.zeros(2 * self.window.width_bp, bool)
        inserted[first + len(self.allele.ref) : first + len(self.allele.alt)] = True
        found = np.zeros_like(left)
        for number, bases in enumerate(owner.reshape(-1, 128)):
            counts = {letter: (bases == letter).sum() for letter in "LR-"}
            if counts["-"] <= 64:
                found[number] = (right if counts["R"] > counts["L"] else left)[number]
        full = np.flatnonzero(inserted.reshape(-1, 128).sum(axis=1) > 64)
        if len(full):
            anchor = self._anchor() // 128
            found[anchor] = np.maximum(found[anchor], left[full].max(axis=0))
        return found

    def contacts_in_phase(self) -> np.ndarray:
        """Return the alternate's contacts of the variant's bin, float32 (M, T), each column from its own side."""
        left, right = (each.tracks[Output.CONTACT_MAPS] for each in (self.alternate, self.right))
        row = (self.allele.pos0 - self.window.start0) // 2048
        ends = np.arange(1, left.shape[0] + 1) * 2048
        is_right = ends - (self.allele.end0 - self.window.start0) > 1024
        return np.where(is_right[:, None], right[:, row], left[:, row])

    def _align_left(self, signal: np.ndarray) -> np.ndarray:
        ref_bp, alt_bp = len(self.allele.ref), len(self.allele.alt)
        anchor = self.allele.pos0 - self.window.start0 + min(ref_bp, alt_bp) - 1
        inserted_bp = alt_bp - ref_bp
        nothing = np.zeros((abs(inserted_bp), signal.shape[1]), signal.dtype)
        if inserted_bp > 0:
            after = anchor + inserted_bp + 1
            largest = signal[anchor:after].max(axis=0, keepdims=True)
            return np.concatenate([signal[:anchor], largest, signal[after:], nothing])
        shifted = np.concatenate([signal[: anchor + 1], nothing, signal[anchor + 1 :]])
        return shifted[: len(signal)]

    def signals(self, output: Output) -> tuple[np.ndarray, np.ndarray]:
        """Return the reference's signal, and the alternate's signal aligned to it."""
        alternate, right = (each and each.tracks[output] for each in (self.alternate, self.right))
        return self.reference.tracks[output], self.align(alternate, right)

    def overlapped(self) -> list[str]:
        """Return the genes that the longer allele overlaps."""
        end0 = self.allele.pos0 + max(len(self.allele.ref), len(self.allele.alt))
        return [
            gene
            for gene, (chrom, *_) in GENES.items()
            if chrom == self.allele.chrom and _span(gene)[0] < end0 and _span(gene)[1] > self.allele.pos0
        ]

    def inside(self, start0: int, end0: int) -> np.ndarray:
        """Return which positions of the window are in the interval, bool (S,)."""
        position0 = np.arange(self.window.start0, self.window.end0)
        return (position0 >= start0) & (position0 < end0)

    def center_masks(self) -> Iterator[tuple[str, Scores]]:
        for output, width_bp in CENTER_WIDTH_BP.items():
            bp = scored_resolution_bp(output)
            bins = -(-width_bp // bp)
            first = (self.allele.pos0 - self.window.start0) // bp - bins // 2
            signals = self.reference.tracks[output], self.alternate.tracks[output]
            if self.right is not None:
                signals = self.signals(output) if bp == 1 else (signals[0], self.in_phase(output))
            reference, alternate = (
                signal[max(first, 0) : first + bins].sum(axis=0, dtype=np.float64) for signal in signals
            )
            yield str(output), {(): np.log2(1 + alternate) - np.log2(1 + reference)}
            yield f"{output}_ACTIVE", {(): np.maximum(alternate, reference)}

    def contact_maps(self) -> Scores:
        column = (self.allele.pos0 - self.window.start0) // 2048
        reference, alternate = (
            each.tracks[Output.CONTACT_MAPS][:, column] for each in (self.reference, self.alternate)
        )
        if self.right is not None:
            alternate = self.contacts_in_phase()
        return {(): np.abs(alternate - reference).mean(axis=0)}

    def gene_expression(self) -> Iterator[tuple[str, Scores]]:
        change: Scores = {}
        active: Scores = {}
        for gene, (chrom, _, strand, transcripts) in GENES.items():
            exonic = np.zeros(self.window.width_bp, bool)
            for exons in transcripts:
                first0 = exons[-1][1] if strand == "-" else exons[0][0]
                if chrom == self.window.chrom and self.window.start0 <= first0 < self.window.end0:
                    exonic |= np.any([self.inside(*exon) for exon in exons], axis=0)
            if exonic.any():
                means = [
                    signal[exonic].mean(axis=0, dtype=np.float64) for signal in self.signals(Output.RNA_SEQ)
                ]
                reference, alternate = (
                    _on_strand(mean, self.tracks[Output.RNA_SEQ], strand) for mean in means
                )
                change[gene,] = np.log(alternate + 1e-3) - np.log(reference + 1e-3)
                active[gene,] = np.maximum(alternate, reference)
        yield from (("RNA_SEQ", change), ("RNA_SEQ_ACTIVE", active))

    def splicing(self, output: Output) -> Scores:
        reference, alternate = self.signals(output)
        scores = {}
        for gene in self.overlapped():
            body = self.inside(*_span(gene))
            largest = np.abs(alternate - reference)[body].max(axis=0)
            scores[gene,] = _on_strand(largest, self.tracks[output], GENES[gene][2])
        return scores

    def site_changes(self, gene: str) -> dict[str, np.ndarray]:
        """Return the size of each kind of event at each position, float32 (S,); 0 outside the gene."""
        reference, alternate = self.signals(Output.SPLICE_SITES)
        body = self.inside(*_span(gene))
        if self.right is None:
            body[self.window.width_bp - max(len(self.allele.alt) - len(self.allele.ref), 0) :] = False
        change = np.where(body[:, None], alternate - reference, 0)
        donor = change[:, 2 * "+-".index(GENES[gene][2])]
        acceptor = change[:, 2 * "+-".index(GENES[gene][2]) + 1]
        return {
            "acceptor_gain": acceptor.clip(0),
            "acceptor_loss": acceptor.clip(None, 0),
            "donor_gain": donor.clip(0),
            "donor_loss": donor.clip(None, 0),
        }

    def splice_events(self) -> Scores:
        scores: Scores = {}
        for gene in self.overlapped():
            for event, change in self.site_changes(gene).items():
                track = 2 * "+-".index(GENES[gene][2]) + event.startswith("acceptor")
                scores[gene, event] = np.full(4, np.nan, np.float32)
                scores[gene, event][track] = change[np.abs(change).argmax()]
        return scores

    def polyadenylation(self) -> Scores:
        scores = {}
        for gene in self.overlapped():
            sites = np.array(POLYA.get(gene, []))
            within = sites[(sites >= self.window.start0) & (sites + 1 < self.window.end0)]
            if len(within) < 2 or len(within) < 0.8 * len(sites):
                continue
            starts = within + 1 - 400 if GENES[gene][2] == "+" else within
            regions = [self.inside(start0, start0 + 400) for start0 in starts]
            reference, alternate = (
                np.array([signal[region].sum(axis=0, dtype=np.float64) for region in regions])
                for signal in self.signals(Output.RNA_SEQ)
            )
            fold = alternate / reference
            splits = [fold[:k].mean(axis=0) / fold[k:].mean(axis=0) for k in range(1, len(fold))]
            scores[gene,] = np.abs(np.log2(splits)).max(axis=0)
        return scores

    def junction_sites(self, count: int, threshold: float) -> np.ndarray:
        """Return the best positions of each class in the overlapped genes, int (4, K), ascending, then -1."""
        probability = np.maximum(*self.signals(Output.SPLICE_SITES))
        for position, kind in _annotated_sites(self.window):
            probability[position, kind] = 1
        probability[~np.any([self.inside(*_span(gene)) for gene in self.overlapped()], axis=0)] = 0
        sites = np.full((4, count), -1)
        for kind, row in enumerate(sites):
            best = np.argsort(-probability[:, kind], kind="stable")[:count]
            best = np.sort(best[probability[best, kind] >= threshold])
            row[: len(best)] = best
        return sites

    def junctions_of(self, gene: str, sites: np.ndarray, change: np.ndarray) -> Scores:
        """Return the junctions in the gene that are the largest in some tissue."""
        strand = "+-".index(GENES[gene][2])
        found: Scores = {}
        for i, donor in enumerate(sites[2 * strand]):
            for j, acceptor in enumerate(sites[2 * strand + 1]):
                start0, end0 = (donor + 1, acceptor) if strand == 0 else (acceptor + 1, donor)
                start0, end0 = start0 + self.window.start0, end0 + self.window.start0
                within = _span(gene)[0] < start0 < end0 < _span(gene)[1]
                if donor >= 0 and acceptor >= 0 and within:
                    found[gene, start0, end0] = change[i, j, strand]
        if not found:
            return {}
        rows = list(found)
        return {rows[best]: found[rows[best]] for best in np.argmax(list(found.values()), axis=0)}


def _predict_window(
    graph: nnx.GraphDef, state: nnx.State, codes: jax.Array, organism: jax.Array
) -> tuple[jax.Array, dict[Output, jax.Array]]:
    network = nnx.merge(graph, state)
    dna = (codes[:, None] == jnp.arange(4)).astype(jnp.float32)
    return _read_heads(network, network(dna[None], organism, rotary_dtype=jnp.float32), organism)


def _predict_two(
    graph: nnx.GraphDef, state: nnx.State, codes: jax.Array, is_right: jax.Array, organism: jax.Array
) -> list[tuple[jax.Array, dict[Output, jax.Array]]]:
    network = nnx.merge(graph, state)
    dna = (codes[..., None] == jnp.arange(4)).astype(jnp.float32)
    encoded = [network.encoder(window[None]) for window in dna]
    (left, _), (right, _) = encoded
    trunk = jnp.where(is_right[None, :, None], right, left) + network.organism(organism)
    trunk, pair = network.tower(trunk, rotary_dtype=jnp.float32)
    found = []
    for _, skips in encoded:
        coarse = network.embedder_128(trunk, organism)
        fine = network.embedder_1(network.decoder(trunk, skips), organism, coarse)
        embeddings = Embeddings(fine, coarse, network.embedder_pair(pair, organism))
        found.append(_read_heads(network, embeddings, organism))
    return found


def _read_heads(
    network: AlphaGenome, embeddings: Embeddings, organism: jax.Array
) -> tuple[jax.Array, dict[Output, jax.Array]]:
    tracks = {}
    for output in Output:
        if output is not Output.SPLICE_JUNCTIONS:
            tracks[output] = network.predict(output, embeddings.of(output), organism)[0]
    return embeddings.bp1[0], tracks


def _predict_counts(
    graph: nnx.GraphDef, state: nnx.State, embedding: jax.Array, sites: jax.Array, organism: jax.Array
) -> jax.Array:
    head = nnx.merge(graph, state).heads[str(Output.SPLICE_JUNCTIONS)]
    return head(embedding, sites, organism)


def _annotated_sites(window: Window) -> Iterator[tuple[int, int]]:
    """Return position in the window and class (donor+, acceptor+, donor-, acceptor-) of every intron's ends."""
    for chrom, _, strand, transcripts in GENES.values():
        for exons in transcripts if chrom == window.chrom else ():
            for (_, last), (first, _) in itertools.pairwise(exons):
                for position0, kind in ((last - 1, "03"[strand == "-"]), (first, "12"[strand == "-"])):
                    if window.start0 <= position0 < window.end0:
                        yield position0 - window.start0, int(kind)


def _span(gene: str) -> tuple[int, int]:
    exons = [exon for transcript in GENES[gene][3] for exon in transcript]
    return min(start0 for start0, _ in exons), max(end0 for _, end0 in exons)


def _on_strand(values: np.ndarray, tracks: Tracks, strand: str) -> np.ndarray:
    """Return the scores with NaN for tracks of the other strand."""
    return np.where([track in (".", strand) for track in tracks.strand], values, np.nan)


def _mirror(output: Output, signal: np.ndarray) -> np.ndarray:
    """Return a prediction of the reverse complement in the coordinates and tracks of the plus strand."""
    if output is Output.CONTACT_MAPS:
        return signal[::-1, ::-1]
    mirrored = signal[::-1, COUNTERPARTS.get(output, slice(None))]
    if output is Output.DNASE:
        return np.concatenate([np.zeros_like(mirrored[:1]), mirrored[:-1]])
    return mirrored
