"""Genomic files and coordinates to arrays: 0-based, half-open, wherever a file counts otherwise."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Expression": "expression",
        "Finding": "inspection",
        "Genes": "genes",
        "Genome": "sequence",
        "Sequences": "fasta",
        "Signal": "signals",
        "Target": "targets",
        "Windows": "windows",
        "bin_peaks": "peaks",
        "check_files": "check",
        "count_kmers": "kmers",
        "count_reads": "reads",
        "decode": "letters",
        "depth": "read_depth",
        "detect_kind": "signals",
        "encode": "letters",
        "kmer_names": "kmers",
        "make_target": "targets",
        "match_names": "chromosomes",
        "one_hot": "letters",
        "open_genome": "sequence",
        "read_expression": "expression",
        "read_genes": "genes",
        "read_sequences": "fasta",
        "read_signal": "signals",
        "read_variants": "vcf",
        "reverse_complement": "letters",
        "shuffle_dinucleotides": "shuffle",
        "summarize_track": "tracks",
    },
)
