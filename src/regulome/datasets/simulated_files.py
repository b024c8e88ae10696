"""Writers of a simulated world in the file formats in which labs publish: GTF, tagAlign, BAM, bigWig, narrowPeak."""

from __future__ import annotations

import errno
import gzip
import io
import os
from pathlib import Path

import numpy as np
import polars as pl
import pybigtools
import pysam
from pysam.utils import SamtoolsError

from regulome.datasets.simulated_world import READ_LENGTH, Floats, Mark, Reads, World

#: Fast, and hardly larger than the best for such tables.
_LEVEL = 2


def write_gzip(path: Path, text: bytes) -> None:
    """Write a gzip file that holds no time and no name: the same content gives the same bytes."""
    path.write_bytes(gzip.compress(text, compresslevel=_LEVEL, mtime=0))


def _table(frame: pl.DataFrame, header: bool = False) -> bytes:
    buffer = io.BytesIO()
    frame.write_csv(buffer, separator="\t", include_header=header, quote_style="never")
    return buffer.getvalue()


def write_gtf(path: Path, world: World) -> None:
    """Write genes with one or two transcripts each as GENCODE does, gzipped.

    The first transcript is the gene's whole length and carries the tags ``basic`` and ``Ensembl_canonical``; every
    third gene has a second one that begins downstream.
    """
    genes = world.genes.with_row_index("place").with_columns(
        number=pl.col("symbol").str.slice(3).cast(pl.Int64), level=pl.lit(0)
    )
    transcripts = genes.with_columns(level=pl.lit(1))
    plus = pl.col("strand") == "+"
    second = genes.filter(pl.col("number") % 3 == 0).with_columns(
        start=pl.when(plus).then(pl.col("start") + 1_500).otherwise(pl.col("start")),
        end=pl.when(plus).then(pl.col("end")).otherwise(pl.col("end") - 1_500),
        level=pl.lit(2),
    )
    rows = pl.concat([genes, transcripts, second]).sort("place", "level")
    kind, name = pl.col("biotype"), pl.col("symbol")
    transcript = pl.format("ENST{}", (pl.col("number") * 10 + pl.col("level")).cast(pl.String).str.zfill(11))
    of_gene = pl.format('gene_id "{}"; gene_type "{}"; gene_name "{}"; level 2;', "id", kind, name)
    of_transcript = pl.format(
        'gene_id "{}"; transcript_id "{}.1"; gene_type "{}"; gene_name "{}"; transcript_type "{}"; '
        'transcript_name "{}-20{}"; level 2;{}',
        "id", transcript, kind, name, kind, name, "level",
        pl.when(pl.col("level") == 1).then(pl.lit(' tag "basic"; tag "Ensembl_canonical";')).otherwise(pl.lit("")),
    )  # fmt: skip
    table = rows.select(
        "chrom",
        pl.lit("SIMULATED").alias("source"),
        pl.when(pl.col("level") == 0).then(pl.lit("gene")).otherwise(pl.lit("transcript")).alias("feature"),
        pl.col("start") + 1,
        "end",
        pl.lit(".").alias("score"),
        "strand",
        pl.lit(".").alias("frame"),
        pl.when(pl.col("level") == 0).then(of_gene).otherwise(of_transcript).alias("attributes"),
    )
    header = b"##description: simulated genes of regulome\n##provider: regulome\n##format: gtf\n"
    write_gzip(path, header + _table(table))


def write_expression(path: Path, ids: pl.Series, samples: dict[str, Floats]) -> None:
    """Write an expression table in the layout of Roadmap's ``57epigenomes.RPKM.pc.gz``: its rows end in a tab.

    Args:
        path: The file to write.
        ids: Gene ids without versions.
        samples: Name to RPKM per gene.
    """
    columns = [pl.Series(name, values) for name, values in samples.items()]
    table = pl.DataFrame([ids.alias("gene_id"), *columns]).select(
        "gene_id", *[pl.col(name).round(3).cast(pl.String) for name in samples]
    )
    rows = _table(table.with_columns(pl.lit("").alias("end")))
    write_gzip(path, "\t".join(table.columns).encode() + b"\n" + rows)


def _names(world: World, reads: Reads) -> pl.Series:
    return pl.Series("chrom", list(world.sizes), dtype=pl.Categorical).gather(reads.code)


def write_tag_align(path: Path, world: World, reads: Reads) -> None:
    """Write reads as tagAlign (BED6), gzipped and sorted."""
    table = pl.DataFrame({"chrom": _names(world, reads), "start": reads.start, "reverse": reads.reverse}).select(
        "chrom",
        "start",
        end=pl.col("start") + READ_LENGTH,
        name=pl.lit("N"),
        score=pl.lit(1000),
        strand=pl.when("reverse").then(pl.lit("-")).otherwise(pl.lit("+")),
    )
    write_gzip(path, _table(table))


def write_bam(path: Path, world: World, reads: Reads) -> None:
    """Write reads as a sorted BAM with its index."""
    sequences = [f"@SQ\tSN:{name}\tLN:{size}\n" for name, size in world.sizes.items()]
    header = "@HD\tVN:1.6\tSO:coordinate\n" + "".join(sequences)
    table = pl.DataFrame({"chrom": _names(world, reads), "start": reads.start, "reverse": reads.reverse})
    table = table.with_row_index("number").select(
        name=pl.format("r{}", "number"),
        flag=pl.when("reverse").then(16).otherwise(0),
        chrom="chrom",
        position=pl.col("start") + 1,
        quality=pl.lit(37),
        cigar=pl.lit(f"{READ_LENGTH}M"),
        mate=pl.lit("*"),
        mate_position=pl.lit(0),
        length=pl.lit(0),
        sequence=pl.lit("*"),
        qualities=pl.lit("*"),
    )
    sam = path.with_suffix(".sam")
    sam.write_bytes(header.encode() + _table(table))
    try:
        pysam.view("--no-PG", "-b", "-o", str(path), str(sam), catch_stdout=False)
        sam.unlink()
        pysam.index(str(path))
    except SamtoolsError as error:
        # samtools tells only in words why it could not write.
        full = "No space left" in str(error)
        code = errno.ENOSPC if full else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error


def write_big_wig(path: Path, world: World, reads: Reads) -> None:
    """Write the number of reads over each base as a bigWig; bases without reads have no value."""
    longest = max(world.sizes.values()) + READ_LENGTH
    begin = reads.code * longest + reads.start
    edges = np.concatenate([begin, begin + READ_LENGTH])
    order = np.argsort(edges, kind="stable")
    steps = np.repeat(np.array([1, -1]), len(begin))[order]
    edges = edges[order]
    last = np.append(edges[1:] != edges[:-1], True)
    depth, edges = steps.cumsum()[last], edges[last]
    # Where one read ends and another begins the depth does not change.
    change = np.append(True, depth[1:] != depth[:-1])
    depth, edges = depth[change], edges[change]
    covered = np.flatnonzero(depth > 0)
    code, start = np.divmod(edges[covered], longest)
    chrom = pl.Series(list(world.sizes)).gather(code).to_list()
    end = start + edges[covered + 1] - edges[covered]
    rows = zip(chrom, start.tolist(), end.tolist(), depth[covered].astype(np.float64).tolist(), strict=True)
    pybigtools.open(str(path), "w").write(world.sizes, rows)


def write_narrow_peak(path: Path, world: World, reads: Reads, mark: Mark) -> int:
    """Write the domains that hold clearly more reads than the background as narrowPeak, gzipped.

    Returns:
        The number of peaks.
    """
    low, high = mark.domain
    background = (len(reads.start) - reads.in_domain.sum()) / sum(world.sizes.values()) * (high - low)
    plus = pl.col("strand") == "+"
    fold = pl.Series("fold", reads.in_domain / background)
    table = world.genes.with_columns(fold).filter(fold > 3.0)
    table = table.with_row_index("number", 1).select(
        "chrom",
        start=pl.when(plus).then(pl.col("tss") + low).otherwise(pl.col("tss") - high + 1),
        end=pl.when(plus).then(pl.col("tss") + high).otherwise(pl.col("tss") - low + 1),
        name=pl.format("peak_{}", "number"),
        score=(pl.col("fold") * 40).clip(0, 1000).cast(pl.Int64),
        strand=pl.lit("."),
        signal=pl.col("fold").round(4),
        p=(pl.col("fold") * 3).round(4),
        q=(pl.col("fold") * 2).round(4),
        summit=pl.lit((high - low) // 2),
    )
    write_gzip(path, _table(table))
    return table.height
