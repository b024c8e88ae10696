"""Speed claims, each measured side by side with its peer: ``python -m benchmarks [CASE…]``."""
