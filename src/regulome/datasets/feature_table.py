"""The 919 chromatin features of DeepSEA, in its order."""

from __future__ import annotations

from importlib import resources

import polars as pl


def deepsea_features() -> pl.DataFrame:
    """Return the features that DeepSEA and DanQ predict, in the order of their outputs.

    Returns:
        919 rows, all columns text:

        * ``name``: unique, of letters, digits and ``._-`` only: cell, assay and treatment (where there is one)
          joined by ``_``; replicates, of which the published names have 75, end in ``.2``, ``.3`` …
        * ``cell``, ``assay``, ``treatment`` (``None``: untreated) as DeepSEA spells them.
        * ``group``: ``DNase`` (125), ``TF`` (690) or ``histone`` (104).
        * ``published``: the row of DeepSEA's ``predictor.names``. Row 577 is ``NA|NA|NA`` there; it is SREBP1 in HepG2,
          treated with insulin, by the ENCODE file that DeepSEA's table of results names for it.
        * ``file``: the ENCODE or Roadmap file of peaks.

    Example:
        >>> deepsea_features().row(0)[:5]
        ('8988T_DNase', '8988T', 'DNase', 'None', 'DNase')
    """
    table = resources.files("regulome.datasets").joinpath("deepsea_features.tsv")
    return pl.read_csv(table.read_bytes(), separator="\t", infer_schema=False, quote_char=None)
