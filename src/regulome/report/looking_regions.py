"""The chapter on what a network on promoters and pCREs attends to."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from regulome.explain.explanation import Explanation
from regulome.explain.perturbation_profile import distance_names
from regulome.report.figures.region_attention import embedding_figure, regulation_figure
from regulome.report.material import Material
from regulome.report.page import Block, Picture, Table, Words
from regulome.report.wording import amount

#: Contacts on the page, and in the table to download.
_SHOWN, _KEPT = 10, 1000


def region_blocks(material: Material, explanation: Explanation) -> list[Block]:
    """Show the attention to the bins of promoters and to pCREs, and the contacts that stand out."""
    widths: list[int] = explanation.manifest["resolutions"]
    counts = explanation.manifest["groups"]
    groups = [group for group in ("high", "low") if counts[group] and group in explanation.summary["group"]] or ["all"]
    over = f"{amount(explanation.manifest['examples'], 'test gene')} ({counts['rule']})"
    bins = {width: {group: explanation.mean(f"embedding_{width}", group)[0] for group in groups} for width in widths}
    blocks: list[Block] = [
        Picture(
            "Attention to the bins of the promoter",
            embedding_figure(bins, {width: _edges(explanation, width) for width in widths}),
            "Lines of the mean attention to the bins of promoters by distance from the TSS, "
            f"at {amount(len(widths), 'resolution')}; {_peaks(explanation, bins)}.",
            "Where the embedding of each resolution reads to make the promoter's token: the weights of the bin at the "
            "TSS over all bins, mean over heads. They sum to 1 over the bins; the dotted line is even attention. "
            f"Promoters of “−” genes are turned, as the network sees them. Means over {over}.",
            _data(explanation, "embedding", groups),
            f"{material.label}-embedding",
            "Even lines say that the network does not need to choose. Attention shows where it reads, not which way "
            "that moves the answer: ask with regulome perturb.",
        )
    ]
    if not explanation.manifest["contacts"]:
        return [*blocks, Words(["None of the explained genes has a pCRE, so that there is no attention to pCREs."])]
    quantities = {f"bins of {width:,} bp": f"regulation_{width}" for width in widths}
    quantities["frequency alone"] = "frequency_alone"
    near = {
        name: {group: explanation.mean(quantity, group)[0] for group in groups} for name, quantity in quantities.items()
    }
    blocks.append(
        Picture(
            "Attention of promoters to their pCREs",
            regulation_figure(near, distance_names()),
            "Dots of the mean weight that a promoter gives to a pCRE by the distance between them, "
            f"at {amount(len(widths), 'resolution')}.",
            "How much each regulation transformer takes from a pCRE into the promoter's token, mean over heads and "
            "layers. The weights of a gene's pCREs and of its promoter together sum to 1, so that a pCRE gets less "
            "where there are more of them. The interaction frequency is a part of the score by construction: crosses "
            "show what it alone would give, all else being equal. "
            f"{amount(explanation.manifest['contacts'], 'contact')} of {over}.",
            _data(explanation, "regulation|frequency_alone", groups),
            f"{material.label}-regulation",
            "Dots on the crosses say that the weights repeat the frequencies: they do not tell which pCRE matters. "
            "Members of an ensemble may "
            "disagree on single contacts: cut pCREs off with regulome perturb before naming one.",
        )
    )
    return [*blocks, _table(material, explanation, min(widths))]


def _table(material: Material, explanation: Explanation, width: int) -> Table:
    contacts = pl.read_csv(explanation.path / "contacts.tsv", separator="\t", schema_overrides={"chrom": pl.String})
    weight = f"regulation_{width}"
    # Far below the gene's strongest contact both may be 0.
    contacts = contacts.with_columns(ratio=pl.col(weight) / pl.col("frequency_alone")).filter(
        pl.col("ratio").is_finite()
    )
    contacts = contacts.sort("ratio", descending=True, maintain_order=True)
    name = "symbol" if "symbol" in contacts.columns else "id"
    rows = [
        [
            str(row[name] or row["id"]),
            f"{row['chrom']}:{row['start']:,}-{row['end']:,}",
            f"{row['distance'] / 1000:+,.1f}".replace("-", "−"),
            f"{row['frequency']:.2f}",
            f"{row[weight]:.2g}",
            f"{row['ratio']:.2f}",
        ]
        for row in contacts.head(_SHOWN).iter_rows(named=True)
    ]
    return Table(
        "Contacts with more weight than their frequency gives",
        ["Gene", "pCRE", "Distance (kb)", "Interaction frequency", f"Weight (bins of {width:,} bp)", "Ratio"],
        rows,
        "Ratio: the weight divided by what the interaction frequency alone would give; above 1 the network prefers the "
        "pCRE for what it carries. Negative distances are upstream. The table to download holds the first "
        f"{min(len(contacts), _KEPT):,} of {amount(len(contacts), 'contact')}; regulome explain attention leaves all.",
        "Ratios near 1 everywhere: the network has not learned to tell pCREs apart.",
        numbers=True,
        data=contacts.head(_KEPT),
        name=f"{material.label}-contacts",
    )


def _edges(explanation: Explanation, width: int) -> NDArray[np.float64]:
    rows = explanation.summary.filter(pl.col("quantity") == f"embedding_{width}")
    group = rows.filter(pl.col("group") == rows["group"][0])
    return np.append(group["from"].to_numpy(), group["to"][-1])


def _peaks(explanation: Explanation, bins: dict[int, dict[str, NDArray[np.float64]]]) -> str:
    finest = min(bins)
    group, values = next(iter(bins[finest].items()))
    edges, top = _edges(explanation, finest), int(np.argmax(values))
    return f"in {group} genes highest at {(edges[top] + edges[top + 1]) / 2:+,.0f} bp in bins of {finest:,} bp"


def _data(explanation: Explanation, what: str, groups: list[str]) -> pl.DataFrame:
    kept = pl.col("quantity").str.contains(f"^({what})") & pl.col("group").is_in(groups)
    return explanation.summary.filter(kept).with_columns(pl.col("value").round_sig_figs(5))
