"""Genomic files and coordinates to arrays: 0-based, half-open, wherever a file counts otherwise."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Expression": "expression",
        "Finding": "inspection",
        "Genes": "genes",
        "Target": "targets",
        "check_files": "check",
        "make_target": "targets",
        "read_expression": "expression",
        "read_genes": "genes",
    },
)
