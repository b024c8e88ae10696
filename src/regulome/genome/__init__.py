"""Genomic files and coordinates to arrays: 0-based, half-open, wherever a file counts otherwise."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Expression": "expression",
        "Finding": "inspection",
        "Genes": "genes",
        "Signal": "signals",
        "Target": "targets",
        "Windows": "windows",
        "bin_peaks": "peaks",
        "check_files": "check",
        "count_reads": "reads",
        "depth": "read_depth",
        "detect_kind": "signals",
        "make_target": "targets",
        "match_names": "chromosomes",
        "read_expression": "expression",
        "read_genes": "genes",
        "read_signal": "signals",
        "summarize_track": "tracks",
    },
)
