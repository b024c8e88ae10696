"""Run benchmark cases and print one JSON line for each, and nothing else, on standard output."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from pathlib import Path

from regulome.errors import RegulomeError

#: Case → module of this package that has ``run(data_dir: Path) -> dict`` (see :mod:`benchmarks.measure`).
CASES = {
    "reads-vs-multicov": "reads_vs_multicov",
    "reads-vs-intersect": "reads_vs_intersect",
    "depth-vs-genomecov": "depth_vs_genomecov",
    "bigwig-vs-pybigwig": "bigwig_vs_pybigwig",
    "attentivechrome-train": "attentivechrome_train",
    "attentivechrome-throughput": "attentivechrome_throughput",
    "chromoformer-train": "chromoformer_train",
    "chromoformer-predict": "chromoformer_predict",
    "dataset-loader": "dataset_loader",
    "published-csv": "published_csv",
    "onehot-vs-pyfaidx": "onehot_vs_pyfaidx",
    "kmer-vs-sklearn": "kmer_vs_sklearn",
    "deepsea-memory": "deepsea_memory",
    "saturation-mutagenesis": "saturation_mutagenesis",
    "variants": "variants",
    "perturbation": "perturbation",
    "sequence-train": "sequence_train",
    "multilabel-metrics": "multilabel_metrics",
    "language-train": "language_train",
    "markov-counting": "markov_counting",
}


def run(case: str, data_dir: Path) -> None:
    """Run one case; whatever it or its libraries print goes to standard error."""
    answer = os.dup(1)
    os.dup2(2, 1)
    try:
        result = importlib.import_module(f"benchmarks.{CASES[case]}").run(data_dir)
    finally:
        sys.stdout.flush()
        os.dup2(answer, 1)
        os.close(answer)
    print(json.dumps({"case": case, **result}), flush=True)


def main() -> int:
    """Run the named cases (all without names)."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("case", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--data", type=Path, default=Path("bench-data"), help="where simulated inputs are kept")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.case) - set(CASES))
    if unknown:
        print(f"unknown case {', '.join(unknown)} (there are: {', '.join(CASES)})", file=sys.stderr)
        return 2
    arguments.data.mkdir(parents=True, exist_ok=True)
    failed = 0
    for case in arguments.case or CASES:
        begin = time.monotonic()
        try:
            run(case, arguments.data)
        except RegulomeError as error:
            print(f"{case}: {error}", file=sys.stderr)
            failed = 2
        print(f"{case}: {time.monotonic() - begin:.0f} s", file=sys.stderr)
    return failed


if __name__ == "__main__":
    sys.exit(main())
