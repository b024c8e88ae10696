"""Rows of a table: what an allele does to the marks and the expression of a gene that it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from regulome.explain.gene_expression import GeneExpression
from regulome.explain.mark_changes import MarkChanges, MarkScorer
from regulome.explain.variant_comparison import Effects
from regulome.explain.variant_genes import GeneWindows, Integers, Reached
from regulome.explain.variant_tables import SKIPPED, allele_table
from regulome.genome.alleles import Placed
from regulome.training.feature_choice import distinct_names


class GeneRows:
    """Makes the rows of the table.

    Args:
        model: From marks to expression.
        windows: The genes.
        teller: From alleles to changes of marks.
        marks: The marks that change, in the teller's order.
        floor: See :func:`regulome.explain.variant_expression.expression_effects`.
    """

    def __init__(
        self, model: GeneExpression, windows: GeneWindows, teller: MarkScorer, marks: Sequence[str], floor: float
    ) -> None:
        self.model = model
        self.windows = windows
        self.teller = teller
        self.places = [model.view.marks.index(mark) for mark in marks]
        self.floor = floor * model.mean_signal()[self.places] if floor else None
        names = distinct_names([*marks, *model.names])
        self.marks, self.outputs = names[: len(marks)], names[len(marks) :]
        # Outputs with the marks as observed: each gene is computed once.
        self._known = np.full((len(windows), len(model.names)), np.nan)

    def schema(self) -> dict[str, Any]:
        """Return the columns of the table and their types."""
        site = {name: kind for name, kind in SKIPPED.items() if name not in ("line", "reason")}
        gene = {"gene": pl.String, "symbol": pl.String, "tss_distance": pl.Int64}
        sequence = {"sequence_effect": pl.Float32, "sequence_feature": pl.String}
        kinds = {"ref": pl.Float32, "alt": pl.Float32, "distance": pl.Int64, "ratio": pl.Float32, "change": pl.Float32}
        marks = {f"{mark}_{what}": kind for mark in self.marks for what, kind in kinds.items()}
        told = ["ref", "alt", "change", *(["log_odds"] if self.model.odds else [])]
        outputs = {f"{name}_{what}": pl.Float32 for name in self.outputs for what in told}
        return {**site, **gene, **sequence, **marks, **outputs}

    def costs(self, reached: Reached) -> npt.NDArray[np.int64]:
        """Return about how many bytes each pair takes while it is computed."""
        shape = 16 * self.model.view.bins * len(self.model.view.marks)
        costs: npt.NDArray[np.int64] = (reached.last - reached.first) * self.teller.cost + shape
        return costs

    def table(self, placed: Placed, reached: Reached, effects: Effects) -> pl.DataFrame:
        """Return a row for each pair of an allele and a gene.

        Args:
            placed: The alleles.
            reached: The pairs, one at least.
            effects: What the alleles do to the features.
        """
        allele, gene = reached.allele, reached.gene
        table = self.windows.table[gene]
        columns: dict[str, Any] = {
            "gene": table["id"],
            "symbol": table["symbol"],
            "tss_distance": self.windows.distance(placed.start[allele], gene),
            "sequence_effect": effects.score[allele],
            "sequence_feature": [effects.names[place] for place in effects.top[allele]],
        }
        changes = self.teller(placed, reached)
        before = self.model.marks(self.windows.rows[gene])
        after = before.copy()
        cells = (changes.pair[:, None], self.places, changes.bin[:, None])
        signal = before[cells].astype(np.float64)
        base = signal if self.floor is None else np.where(changes.factor > 1, np.maximum(signal, self.floor), signal)
        after[cells] = signal + base * (changes.factor - 1)
        columns |= self._mark_columns(changes, gene, (after - before).sum(2, dtype=np.float64))
        ref, alt = self._observed(gene, before), self.model.outputs(self.windows.rows[gene], after)
        odds = alt - ref
        ref, alt = self.model.values(ref), self.model.values(alt)
        for place, name in enumerate(self.outputs):
            columns[f"{name}_ref"], columns[f"{name}_alt"] = ref[:, place], alt[:, place]
            columns[f"{name}_change"] = (alt - ref)[:, place]
            if self.model.odds:
                columns[f"{name}_log_odds"] = odds[:, place]
        sites = allele_table(placed, allele).drop("line")
        schema = {name: kind for name, kind in self.schema().items() if name in columns}
        return pl.concat([sites, pl.DataFrame(columns, schema_overrides=schema)], how="horizontal")

    def _mark_columns(self, changes: MarkChanges, gene: Integers, change: npt.NDArray[Any]) -> dict[str, Any]:
        """Tell each mark in the bin where it changes most."""
        cells = changes.greatest()
        columns: dict[str, Any] = {}
        for place, mark in enumerate(self.marks):
            cell = cells[:, place]
            columns[f"{mark}_ref"] = changes.ref[cell, place]
            columns[f"{mark}_alt"] = changes.alt[cell, place]
            columns[f"{mark}_distance"] = self.windows.distance(self.windows.centres(gene, changes.bin[cell]), gene)
            columns[f"{mark}_ratio"] = changes.factor[cell, place]
            columns[f"{mark}_change"] = change[:, self.places[place]]
        return columns

    def _observed(self, gene: Integers, marks: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the outputs of genes with their marks as observed; each gene is computed once."""
        different, first = np.unique(gene, return_index=True)
        new = np.isnan(self._known[different, 0])
        self._known[different[new]] = self.model.outputs(self.windows.rows[different[new]], marks[first[new]])
        known: npt.NDArray[np.float64] = self._known[gene]
        return known
