"""Add the examples of one chromosome after the other to a dataset of sequences."""

from __future__ import annotations

import logging
from collections import Counter

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.datasets.peak_features import PeakFiles
from regulome.datasets.sequence_examples import GIVEN, ORIGINS, POSITIVE, SHUFFLE, Chromosome, Examples
from regulome.datasets.sequence_plan import SequencePlan
from regulome.datasets.sequence_writer import SequenceWriter
from regulome.errors import InputError
from regulome.genome.sequence import Genome
from regulome.genome.shuffle import shuffle_dinucleotides

logger = logging.getLogger(__name__)

#: Windows whose labels, or whose shuffled letters, are in memory at a time.
_ROWS = 16_384


class SequenceBuilder:
    """Adds one chromosome after the other to a dataset, and keeps count."""

    def __init__(
        self, plan: SequencePlan, genome: Genome, writer: SequenceWriter, counted: npt.NDArray[np.bool_]
    ) -> None:
        self.plan, self.genome, self.writer, self.counted = plan, genome, writer, counted
        self.positives = np.zeros(len(counted), np.int64)
        self.left_out: Counter[str] = Counter()
        self.lacking = self.near = 0
        self._regions: list[pl.DataFrame] = []

    def add(
        self, name: str, found: PeakFiles, never: PeakFiles, given: PeakFiles, generator: np.random.Generator
    ) -> None:
        """Add the examples of one chromosome."""
        plan = self.plan
        codes = self.genome.codes(name)
        place = Chromosome(plan, codes, found.on(name), self.counted, never.on(name), generator)
        examples = place.examples(given.on(name))
        self.left_out += place.left_out
        self.lacking += place.lacking
        self.near += int(place.near_peaks(examples.centres[examples.origins == GIVEN]).sum())
        starts = examples.centres - plan.length // 2
        self.writer.add_genome_windows(self.genome, name, starts)
        self._add_labels(examples)
        self._regions.append(self._table(found.spelled[name], examples.centres, examples.origins))
        if plan.negatives == "shuffle":
            positives = examples.centres[examples.origins == POSITIVE]
            for copy in range(int(plan.ratio)):
                self._shuffle(name, positives, [plan.seed, len(self._regions), copy])
                origins = np.full(len(positives), SHUFFLE, np.uint8)
                self._regions.append(self._table(found.spelled[name], positives, origins, copy))

    def _shuffle(self, name: str, centres: npt.NDArray[np.int64], seed: list[int]) -> None:
        margin = self.plan.margin
        seeds = np.random.SeedSequence(seed).generate_state(-(-len(centres) // _ROWS) or 1)
        for number, first in enumerate(range(0, len(centres), _ROWS)):
            starts = centres[first : first + _ROWS] - self.plan.length // 2
            wide = self.genome.windows([name] * len(starts), starts - margin, self.plan.length + 2 * margin)
            inner = slice(margin, margin + self.plan.length)
            wide[:, inner] = shuffle_dinucleotides(np.ascontiguousarray(wide[:, inner]), seed=int(seeds[number]))
            self.writer.add_codes(wide)
            self.writer.add_targets(np.zeros((len(starts), len(self.counted)), np.uint8))

    def _add_labels(self, examples: Examples) -> None:
        self.positives += np.bincount(examples.features, minlength=len(self.counted))
        for first in range(0, len(examples), _ROWS):
            n = min(_ROWS, len(examples) - first)
            low, high = np.searchsorted(examples.rows, [first, first + n])
            labels = np.zeros((n, len(self.counted)), np.uint8)
            labels[examples.rows[low:high] - first, examples.features[low:high]] = 1
            self.writer.add_targets(labels)

    def _table(
        self, chrom: str, centres: npt.NDArray[np.int64], origins: npt.NDArray[np.uint8], copy: int = 0
    ) -> pl.DataFrame:
        plan = self.plan
        start = pl.Series("start", centres - plan.length // 2, pl.Int64)
        table = pl.DataFrame({"chrom": pl.repeat(chrom, len(centres), dtype=pl.String, eager=True), "start": start})
        table = table.with_columns(end=pl.col("start") + plan.length, strand=pl.lit("."))
        named = ("start", "end")
        if plan.examples == "bins":
            bin_start = pl.Series("bin_start", centres - plan.bin // 2, pl.Int64)
            table = table.with_columns(bin_start, (bin_start + plan.bin).alias("bin_end"))
            named = ("bin_start", "bin_end")
        names = pl.Series([*ORIGINS], dtype=pl.String)
        table = table.with_columns(names.gather(origins).alias("origin"))
        # Shuffled and given negatives may have the place of another example.
        shuffled = pl.lit("/shuffle" + str(copy + 1) * (plan.ratio > 1))
        mark = (
            pl.when(pl.col("origin") == "shuffle")
            .then(shuffled)
            .when(pl.col("origin") == "given")
            .then(pl.lit("/given"))
            .otherwise(pl.lit(""))
        )
        return table.select(pl.format("{}:{}-{}{}", "chrom", *named, mark).alias("id"), pl.all())

    def regions(self, names: list[str]) -> pl.DataFrame:
        """Return the table of all examples, and say what they are.

        Raises:
            InputError: There is no example, or none that is labelled.
        """
        table = pl.concat(self._regions)
        left = {reason: n for reason, n in self.left_out.items() if n}
        words = ", ".join(f"{n:,} {reason}" for reason, n in left.items())
        if not self.positives.any():
            problem = f"no peak labels a window ({words} left out)" if words else "no peak labels a window"
            cure = f"peaks must cover {self.plan.needed} bases of a bin of {self.plan.bin}: give a smaller --bin"
            raise InputError(problem, cure=cure if not words else "look at the blacklist, and at the genome")
        kinds = dict(table["origin"].value_counts().iter_rows())
        told = ", ".join(f"{kinds[kind]:,} {kind}" for kind in ORIGINS if kind in kinds)
        logger.info("%s windows of %s bases (%s)", f"{table.height:,}", f"{self.plan.length:,}", told)
        if words:
            logger.info("left out: %s", words)
        low, middle, high = np.quantile(self.positives, [0, 0.5, 1]).astype(int).tolist()
        logger.info("positives per feature: %s to %s, median %s", f"{low:,}", f"{high:,}", f"{middle:,}")
        if not self.positives.all():
            none = np.flatnonzero(self.positives == 0)
            more = f" and {len(none) - 5} more" if len(none) > 5 else ""
            listed = ", ".join(names[i] for i in none[:5])
            logger.warning("no positives for %s%s: nothing can be learned of them", listed, more)
        if self.lacking > 0:
            logger.warning("%s windows without peaks were wanted and not found", f"{self.lacking:,}")
        if self.near:
            logger.warning("%s of the given negatives share a base with a peak", f"{self.near:,}")
        return table
