"""Write splice events in the format of SpliceAI's output, which VEP's plug-in reads. They are not SpliceAI's scores.

A network with a published program is the exception: its lines have what the program prints, in a field of its name, one
gene a line.

Otherwise a line has one ALT, one gene that it overlaps, and in INFO only

    SpliceAI=ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL

DS is the size of the strongest gain (G) or loss (L) of an acceptor (A) or a donor (D) in the gene, over all loci of
that name. DP is the position of that site minus POS, in bp along the plus strand whatever the gene's strand. A site is
the exon's base next to the intron, at its position in the reference: a site within inserted bases is at the base before
them, a deleted one where it was. If nothing is gained or lost, DS and DP are 0.

Source: `get_delta_scores` of Illumina/SpliceAI (spliceai/utils.py); `run` and `parse_data` of SpliceAI.pm in
Ensembl/VEP_plugins, which compares POS, REF and ALT as they are written.
"""

import contextlib
import dataclasses
import re
from pathlib import Path
from typing import NamedTuple, Self

from vepscore.errors import InputError
from vepscore.genome.alleles import Status
from vepscore.io.atomic import writing
from vepscore.io.fields import EVENTS_SCORER, Field
from vepscore.io.header import FIXED_COLUMNS, VcfHeader, provenance_lines
from vepscore.io.info import encode
from vepscore.io.output_paths import INDEX_SUFFIXES
from vepscore.io.results import AlleleResult, Detail, RecordResult, ResultWriter
from vepscore.io.run_metadata import RunMetadata
from vepscore.io.suffixes import SPLICEAI_SUFFIXES
from vepscore.io.vcf import make_index
from vepscore.outputs import EVENT_KINDS
from vepscore.paths import escape_bytes

_FORMAT = "ALLELE|SYMBOL|DS_AG|DS_AL|DS_DG|DS_DL|DP_AG|DP_AL|DP_DG|DP_DL"
_LEGEND = (
    "Delta scores (DS) and delta positions (DP) for acceptor gain (AG), acceptor loss (AL), donor gain (DG) and donor "
    "loss (DL). "
)
_UNQUOTABLE = re.compile(r"[^ -!#-[\]-~]")  # between the double quotes of a header line
_NOTICE_KEY, _COUNTS_PREFIX = "vepscoreSpliceAI", "##vepscoreSpliceAICounts="
_NUMBER = r"(\d{1,15})"
_COUNTS = re.compile(
    rf"{_NUMBER} lines of {_NUMBER} alleles; left out: {_NUMBER} not scored, {_NUMBER} not applicable",
    re.ASCII,
)


class Counts(NamedTuple):
    """How many alleles have lines, and how many have none and why."""

    lines: int = 0
    alleles: int = 0  # with lines
    unscored: int = 0  # without a line: their status is another than OK and NOT_APPLICABLE
    outside: int = 0  # without a line: in no gene, or not scored by the published program

    @classmethod
    def parse(cls, header: VcfHeader) -> Self:
        """Read the counts from a header.

        Raises:
            InputError: it has none.
        """
        own = [line.removeprefix(_COUNTS_PREFIX) for line in header.meta if line.startswith(_COUNTS_PREFIX)]
        match = _COUNTS.fullmatch(own[0]) if len(own) == 1 else None
        if match is None:
            raise InputError(
                f"{header.source}\ndoes not state the number of its lines, expected an output of --spliceai"
            )
        return cls(*map(int, match.groups()))

    @property
    def header_line(self) -> str:
        """The meta line that states the counts."""
        return (
            f"{_COUNTS_PREFIX}{self.lines} lines of {self.alleles} alleles; "
            f"left out: {self.unscored} not scored, {self.outside} not applicable"
        )


def spliceai_header(annotated: VcfHeader, metadata: RunMetadata) -> VcfHeader:
    """Return the header of the file: the contigs of the annotated VCF, the field, and how the scores were made."""
    name = escape_bytes(metadata.checkpoint.name) if metadata.checkpoint else "unknown"
    maker = f"vepscore {metadata.version}, checkpoint {name}"
    form = metadata.entry_form  # of the network's published program
    rules = f"by the rules of its published program, {metadata.delta_scores}"
    how = rules if form else "in the form of SpliceAI; not scores of SpliceAI"
    field = Field(
        id=form.field if form else "SpliceAI",
        type="String",
        number=".",
        description=f"Predicted by {_UNQUOTABLE.sub('_', maker)}, {how}. {'' if form else _LEGEND}"
        f"Format: {form.format if form else _FORMAT}",
    )
    notice = f"made by the checkpoint {metadata.text_of('checkpoint')}"
    notice += f" {rules}" if form else "; these are not SpliceAI's own scores"
    facts = provenance_lines({_NOTICE_KEY: notice, **metadata.to_header()})
    contigs = annotated.declared("contig").values()
    meta = ("##fileformat=VCFv4.2", *contigs, field.header_line, *facts)
    return VcfHeader(meta=meta, columns="\t".join(FIXED_COLUMNS))


def is_spliceai(header: VcfHeader) -> bool:
    """Return whether a file was written by `SpliceAiWriter`."""
    return any(line.startswith(f"##{_NOTICE_KEY}=") for line in header.meta)


def without_counts(header: VcfHeader) -> VcfHeader:
    """Return a header without its counts, in which the parts of a run differ."""
    meta = tuple(line for line in header.meta if not line.startswith(_COUNTS_PREFIX))
    return dataclasses.replace(header, meta=meta)


class SpliceAiWriter(ResultWriter):
    """Write `.vcf` or `.vcf.gz`, the latter bgzipped and indexed, with the counts of alleles in the header.

    Lines are sorted by contig, in the order of the header, and position; lines of one position keep the order in which
    they came. They are held in memory together, at the end, only if they came unsorted. The header is that of
    `spliceai_header`.
    """

    def __init__(self, path: str | Path, header: VcfHeader) -> None:
        super().__init__(path, SPLICEAI_SUFFIXES, INDEX_SUFFIXES)
        self.counts = Counts()
        (self._field,) = header.definitions("INFO")
        self._header = header
        self._ranks = {name: rank for rank, name in enumerate(header.declared("contig"))}
        self._declared = len(self._ranks)
        self._last, self._is_sorted = (0, 0), True
        # The header comes first, but the counts and the order are known only after the last record.
        self._body = self._target.scratch(".body")

    def write(self, result: RecordResult) -> None:
        """Add the lines of a record's ALTs."""
        record = result.record
        for allele in result.alleles:
            ref, alt = record.ref.upper(), allele.alt.upper()  # as VEP compares them
            entries = [*map(_encode, allele.entries)] or _entries(allele, alt, record.pos1)
            for entry in entries:
                cells = (record.chrom, str(record.pos1), ".", ref, alt, ".", ".", f"{self._field}={entry}")
                self.write_line(record.chrom, record.pos1, "\t".join(cells).encode())
            applied = allele.status in (Status.OK, Status.NOT_APPLICABLE)
            self.add(Counts(len(entries), bool(entries), not applied, applied and not entries))

    def add(self, counts: Counts) -> None:
        """Add to the counts."""
        self.counts = Counts(*map(sum, zip(self.counts, counts, strict=True)))

    def write_line(self, chrom: str, pos1: int, line: bytes) -> None:
        """Write one line, given without its end.

        Raises:
            OutputError: it cannot be written.
        """
        place = self._ranks.setdefault(chrom, len(self._ranks)), pos1
        self._is_sorted &= self._last <= place
        self._last = place
        with writing(self.name):
            self._file.write(line + b"\n")

    def _open(self) -> None:
        self._file = self._body.open("wb")

    def _complete(self) -> None:
        super()._open()
        with contextlib.closing(self._file) as file, self._body.open("rb") as body:
            file.write(self._whole_header().encode())
            for line in body if self._is_sorted else sorted(body, key=self._place):
                file.write(line)
        if self._suffix == ".vcf.gz":
            make_index(self._temporary, self.name)

    def _whole_header(self) -> VcfHeader:
        """Return the header with the counts, and with the contigs that only the records name."""
        contigs = [f"##contig=<ID={name}>" for name in list(self._ranks)[self._declared :]]
        meta = (*self._header.meta, *contigs, self.counts.header_line)
        return VcfHeader(meta=meta, columns=self._header.columns)

    def _place(self, line: bytes) -> tuple[int, int]:
        chrom, pos1, _ = line.split(b"\t", 2)
        return self._ranks[chrom.decode("utf-8", "replace")], int(pos1)

    def _abandon(self) -> None:
        super()._abandon()
        self._body.unlink(missing_ok=True)


def _encode(entry: str) -> str:
    """Return an entry with parts that can stand in INFO."""
    return "|".join(map(encode, entry.split("|")))


def _entries(allele: AlleleResult, alt: str, pos1: int) -> list[str]:
    """Return the field's value for each gene name.

    Genes of one name, and the loci of one gene, share a line with the strongest change of each kind, since VEP's
    plug-in takes one line per name.
    """
    genes: dict[str, dict[str, Detail]] = {}
    for detail in allele.details:
        if detail.scorer == EVENTS_SCORER:
            kind = detail.track.partition(":")[0]
            events = genes.setdefault(detail.symbol or detail.gene_id, {})
            events[kind] = max(events.get(kind, detail), detail, key=lambda event: abs(event.score))
    return [
        "|".join(
            [
                alt,
                encode(name),
                *(f"{_size(kind, events[kind]):z.2f}" for kind in EVENT_KINDS),
                *(str(_offset_bp(events[kind], pos1)) for kind in EVENT_KINDS),
            ]
        )
        for name, events in genes.items()
    ]


def _size(kind: str, event: Detail) -> float:
    """Return the delta score: losses are negative as events, positive here."""
    return event.score if kind.endswith("gain") else -event.score


def _offset_bp(event: Detail, pos1: int) -> int:
    """Return the distance from POS to the site; 0 if there is none."""
    site_pos1 = event.track.partition(":")[2]
    return int(site_pos1) - pos1 if site_pos1 else 0
