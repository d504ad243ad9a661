"""The Python API: load a checkpoint once, then score variants, predict tracks and mutate regions.

The command line calls the same functions. They change no setting of the process: JAX's settings are fixed only while a
network runs, in the thread that runs it. Compiled programs are kept for later processes only if JAX's compilation cache
is set, as `jax.config.update("jax_compilation_cache_dir", FOLDER)` does.
"""

import dataclasses
import functools
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from vepscore.engine.job import Job, resolve_defaults
from vepscore.engine.prediction import Prediction, predict, predict_signals
from vepscore.engine.run_job import JobReport, Observe, run_job
from vepscore.engine.saturation import run_saturation
from vepscore.engine.scored_records import score_records
from vepscore.engine.scoring import Engine
from vepscore.engine.session import Session, open_preparer, open_session
from vepscore.genome.regions import place_text, require_variant
from vepscore.io.formats import formats, output_for
from vepscore.io.output_file import OutputFile
from vepscore.io.records import Record, variant_record
from vepscore.io.signal_files import RegionSignals, WrittenFile
from vepscore.io.tidy import tidy_frame, to_frame
from vepscore.model.registry import EMBEDDED_NAME
from vepscore.options import GenomeOptions
from vepscore.outputs import Output

StrPath = str | os.PathLike[str]


def load(
    checkpoint: StrPath | None = None,
    *,
    reference: StrPath,
    genes: StrPath | None = None,
    window: int | str = "auto",
    **options: Any,
) -> "Model":
    """Load a checkpoint, a reference genome and a gene annotation.

    Args:
        checkpoint: a name that `vepscore weights list` prints, or a directory; None for the embedded checkpoint.
        reference: FASTA, uncompressed or bgzipped.
        genes: GENCODE, Ensembl or RefSeq GTF. Without it, scorers that need genes do not run.
        window: width of the sequence that the network gets: "1Mb", "128kb" …, or in bp; "auto": the checkpoint's own.
        **options: any other option of `vepscore score`, named as there with `_` for `-`, such as `strand="minus"`,
            `indel_anchor="both"`, `scorers=["SPLICE_SITES"]`, `device="cpu"` or `batch=4`.

    Returns:
        The model. Its network is loaded by the first call that needs it.

    Raises:
        VepscoreError: a file is missing or cannot be read, or options conflict.

    Example:
        >>> model = vepscore.load("vepscore-small", reference="hg38.fa", genes="gencode.gtf.gz")
        >>> model
        <vepscore.Model vepscore-small: hg38.fa, gencode.gtf.gz, windows of 16,384 bp>
    """
    if wrong := [name for name in options if name in {field.name for field in dataclasses.fields(Job)}]:
        raise TypeError(f"load() has no option {', '.join(wrong)}")
    job = Job(genome=GenomeOptions.build({"reference": os.fspath(reference)}), command=("vepscore.load",))
    files = {"checkpoint": _path(checkpoint), "genes": _path(genes)}
    return Model(job.changed(**files, window=str(window), **options))


class Model:
    """A checkpoint with a reference genome and a gene annotation, made by `load`.

    The first call of `score` loads the network and compiles it; later calls reuse both. Variants and regions are text,
    or objects of the `alphagenome` package: `alphagenome.data.genome.Variant` and `Interval`.
    """

    def __init__(self, job: Job) -> None:
        self._job = resolve_defaults(job)

    def score(self, variants: object) -> pd.DataFrame:
        """Score one or several variants: how does each change what the network predicts?

        Args:
            variants: a variant, such as "chr1:94027417:G>A" or "chr1-94027417-G-A" (1-based), an
                `alphagenome.data.genome.Variant`, or an iterable of these.

        Returns:
            One row per variant, scorer, gene and track, in the order of the variants. A variant that cannot be scored
            has one row, with a status and without a score, so that every variant is in the table. The names of the
            columns are those of alphagenome's `tidy_scores`, and of the Parquet table of `score_vcf`:

            - variant_id: such as chr1:94027417:G>A; 1-based
            - scored_interval: the window of the reference, such as chr1:94019225-94035609:.; 0-based, half-open
            - gene_id, gene_name, gene_type, gene_strand: the gene that the score is about; null for none
            - junction_Start, junction_End: the intron that the score is about; 0-based, half-open; null for none
            - output_type, variant_scorer: such as RNA_SEQ; `vepscore scorers` lists the scorers
            - track_name, track_strand, "Assay title", ontology_curie, biosample_name: the track
            - record, alt_index: 0-based index among the variants; 0
            - chrom, pos, ref, alt: the variant; 1-based
            - site_pos, track_index: position of the splice site (1-based, null for none); 0-based index of the track
            - status, reason: OK, or why there is no score (REF_MISMATCH, NOT_APPLICABLE …); the same in words
            - raw_score, quantile_score: the score; its quantile in the background, null if there is none

            Text is categorical, and whole numbers are nullable integers.

        Raises:
            UsageError: something is not a variant; then nothing is scored.
            VepscoreError: a file cannot be read, or the checkpoint cannot be loaded.

        Example:
            >>> frame = model.score(["chr1:14200:C>A", "chr1:14200:G>A"])
            >>> frame.groupby("variant_id", observed=True)["status"].first().to_dict()
            {'chr1:14200:C>A': 'OK', 'chr1:14200:G>A': 'REF_MISMATCH'}
        """
        session, engine = self._scoring
        results = score_records(_records(variants), session.preparer, engine, keep_matrices=True)
        return tidy_frame(itertools.chain.from_iterable(results), session.info.tracks, session.info.quantiles)

    def score_vcf(
        self,
        source: StrPath,
        outputs: StrPath | Sequence[StrPath | OutputFile],
        *,
        observe: Observe = lambda counts, total: None,
        **options: Any,
    ) -> JobReport:
        """Score the variants of a VCF into files: what `vepscore score` does.

        An interrupted call resumes if it is made again. The outputs appear together when all is scored.

        Args:
            source: .vcf, .vcf.gz or .bcf.
            outputs: .vcf, .vcf.gz or .bcf for the annotated VCF; .parquet for the table that `score` returns.
            observe: called after each record, with the counts so far and the number of records if it is known.
            **options: outputs that have an option of their own, as `table="alleles.tsv"` and `spliceai="events.vcf"`,
                and the options of a run: shard, resume, cluster, json_summary, overwrite_existing.

        Returns:
            The report: `counts` has the number of records, and of alleles by status.

        Raises:
            VepscoreError: an input cannot be read, an output cannot be written, or options conflict.

        Example:
            >>> report = model.score_vcf("in.vcf", ["out.vcf.gz", "out.parquet"])
            >>> report.counts.scored
            1
        """
        paths = [outputs] if isinstance(outputs, str | os.PathLike) else outputs
        files = [one if isinstance(one, OutputFile) else output_for(os.fspath(one)) for one in paths]
        kinds = {kind.name: kind for kind in formats() if kind.option is not None}
        files += [kinds[name](os.fspath(options.pop(name))) for name in kinds if name in options]
        job = self._job.changed(source=os.fspath(source), outputs=tuple(files), **options)
        return run_job(job, observe)

    def predict(
        self,
        place: object,
        *,
        outputs: Sequence[str] | None = None,
        tissue: str | None = None,
        region: object = None,
    ) -> dict[Output, RegionSignals]:
        """Predict tracks over a region, or for both alleles of a variant.

        Args:
            place: a region, such as "chr1:94,027,000-94,028,000" (1-based, inclusive) or an
                `alphagenome.data.genome.Interval` (0-based, half-open), or a variant.
            outputs: names such as "DNASE"; None for all that the checkpoint predicts.
            tissue: part of a biosample's name, or an ontology term; None for all.
            region: what to return around a variant; None for 16,384 bp.

        Returns:
            The signals by output. B bins of the region by T tracks: `reference` and, for a variant, `alternate` are
            float32 (B, T), the alternate's in the reference's coordinates; of CONTACT_MAPS (B, B, T). `start0` and
            `end0` are the bins' coordinates, 0-based and half-open; `tracks` names the tracks.

        Raises:
            UsageError: the place is neither a region nor a variant, or an output or a tissue is unknown.
            InputError: the variant cannot be scored.
            VepscoreError: a file cannot be read, or the checkpoint cannot be loaded.

        Example:
            >>> signals = model.predict("chr1:14,101-14,300", outputs=["SPLICE_SITES"])["SPLICE_SITES"]
            >>> signals.reference.shape
            (200, 4)
        """
        prediction = _prediction(place, outputs=outputs, tissue=tissue, region=region)
        return {each.tracks.output: each for each in predict_signals(self._job, prediction).signals}

    def predict_files(self, folder: StrPath, place: object, **options: Any) -> list[WrittenFile]:
        """Predict tracks as bigWig files, and contact maps as NPZ: what `vepscore predict` does.

        Args:
            folder: gets the files; created if absent.
            place: as for `predict`.
            **options: the options of `predict`.

        Returns:
            A description of each file.

        Raises:
            VepscoreError: as for `predict`; or a file cannot be written.

        Example:
            >>> [file.file for file in model.predict_files("tracks", "chr1:14,101-14,300", outputs=["PROCAP"])]
            ['PROCAP.PROCAP_0.plus.reference.bw', 'PROCAP.PROCAP_1.minus.reference.bw']
        """
        return predict(self._job, _prediction(place, **options), Path(folder))

    def ism(self, region: object, *, align: int | None = None) -> pd.DataFrame:
        """Score every substitution of a region (in-silico saturation mutagenesis).

        Args:
            region: such as "chr1:94,027,401-94,027,430" (1-based, inclusive) or an
                `alphagenome.data.genome.Interval`; up to 5,000 bp.
            align: grid of window starts in bp; None for 32,768 or a quarter of the window, so that neighbors share it.

        Returns:
            One row per substitution, scorer and gene, with the track of the largest score: variant_id, gene_id,
            gene_name, variant_scorer, track_name, biosample_name, chrom, pos (1-based), ref, alt, raw_score. Without
            `scorers` in `load` they are the parts of the composite splicing score and the composite, VS_SPLICE.

        Raises:
            VepscoreError: the region is invalid or too wide, a file cannot be read, or the checkpoint cannot be loaded.

        Example:
            >>> frame = model.ism("chr1:14,200-14,201")
            >>> frame["variant_id"].nunique()
            6
        """
        with tempfile.TemporaryDirectory(prefix="vepscore-") as folder:
            table = Path(folder) / "ism.parquet"
            self.ism_files(region, table, align=align)
            return to_frame(pq.read_table(table))

    def ism_files(
        self,
        region: object,
        table: StrPath,
        *,
        picture: StrPath | None = None,
        by: str | None = None,
        align: int | None = None,
        observe: Observe = lambda counts, total: None,
        **options: Any,
    ) -> JobReport:
        """Score every substitution of a region into a table and a picture: what `vepscore ism` does.

        Args:
            region: as for `ism`, and so is `align`.
            table: .parquet, gets the table that `ism` returns.
            picture: .svg, .png or .pdf, gets a sequence logo over a heat map.
            by: the scorer of the picture; None for the composite, or the first of `scorers`.
            observe: as for `score_vcf`.
            **options: resume.

        Returns:
            The report; see `score_vcf`.

        Raises:
            VepscoreError: as for `ism`; or a file cannot be written.

        Example:
            >>> model.ism_files("chr1:14,200-14,201", "ism.parquet").counts.scored
            6
        """
        return run_saturation(
            self._job.changed(**options),
            place_text(region),
            Path(table),
            picture=None if picture is None else Path(picture),
            by=by,
            align_bp=align,
            observe=observe,
        )

    @functools.cached_property
    def _scoring(self) -> tuple[Session, Engine]:
        """The session and the engine of `score`, opened by its first call."""
        session = open_session(self._job, open_preparer(self._job, source="the variants", assembly=""))
        return session, session.create_engine()

    def __repr__(self) -> str:
        job = self._job
        files = ", ".join(path.name for path in (job.genome.reference, job.genome.genes) if path is not None)
        checkpoint = Path(job.model.checkpoint or EMBEDDED_NAME).name
        return f"<vepscore.Model {checkpoint}: {files}, windows of {job.window_bp:,} bp>"


def _path(path: StrPath | None) -> str | None:
    return None if path is None else os.fspath(path)


def _records(variants: object) -> Iterator[Record]:
    """Return the variants as a VCF would have them, after all are checked."""
    if isinstance(variants, str) or not isinstance(variants, Iterable):
        variants = [variants]
    checked = [require_variant(variant) for variant in variants]
    return (variant_record(variant, index) for index, variant in enumerate(checked))


def _prediction(
    place: object, *, outputs: Sequence[str] | None = None, tissue: str | None = None, region: object = None
) -> Prediction:
    return Prediction(
        place=place_text(place),
        region=None if region is None else place_text(region),
        outputs=None if outputs is None else tuple(outputs),
        tissue=tissue,
    )
