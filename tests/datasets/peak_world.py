"""A small genome with peaks, and the labels of its windows counted base by base."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LETTERS = "ACGTN"


@dataclass
class PeakWorld:
    """Chromosomes of random letters (some unknown), and random peaks of some features on them."""

    folder: Path
    seed: int = 0
    sizes: dict[str, int] = field(default_factory=lambda: {"1": 20_000, "2": 12_345, "10": 9_000})
    features: int = 3
    peaks: int = 40
    widest: int = 700
    prefix: str = "chr"

    def __post_init__(self):
        rng = np.random.default_rng(self.seed)
        self.folder.mkdir(exist_ok=True)
        self.letters = {}
        for name, size in self.sizes.items():
            gc = np.repeat(rng.choice([0.25, 0.5, 0.75], size // 500 + 1), 500)[:size] > rng.random(size)
            codes = np.where(gc, rng.choice([1, 2], size), rng.choice([0, 3], size))
            codes[2000:2600] = 4
            self.letters[name] = "".join(np.array(list(LETTERS))[codes])
        self.genome = self.folder / "genome.fa"
        self.genome.write_text("".join(f">{name}\n{text}\n" for name, text in self.letters.items()))
        self.intervals, self.files = {}, []
        names = list(self.sizes)
        for number in range(self.features):
            rows = []
            for _ in range(self.peaks):
                name = names[rng.integers(len(names))]
                width = int(rng.integers(20, self.widest))
                start = int(rng.integers(0, self.sizes[name] - width))
                rows.append((name, start, start + width, int(rng.integers(-1, width))))
            self.intervals[f"F{number}"] = rows
            self.files.append(self.folder / f"F{number}.narrowPeak")
            lines = (f"{self.prefix}{c}\t{s}\t{e}\t.\t0\t.\t1\t-1\t-1\t{p}" for c, s, e, p in rows)
            self.files[-1].write_text("\n".join(lines) + "\n")

    def coverage(self, feature: str, name: str, begin: int, end: int, *, together: bool = False) -> int:
        """Bases of a stretch that one peak covers at most, or all peaks together."""
        peaks = [(s, e) for c, s, e, _ in self.intervals[feature] if c == name]
        if together:
            return len({p for s, e in peaks for p in range(max(s, begin), min(e, end))})
        return max((min(e, end) - max(s, begin) for s, e in peaks), default=0)

    def touched(self, name: str, begin: int, end: int) -> bool:
        return any(self.coverage(feature, name, begin, end) > 0 for feature in self.intervals)

    def window(self, name: str, start: int, length: int) -> str:
        text = self.letters[name]
        return "".join(text[p] if 0 <= p < len(text) else "N" for p in range(start, start + length))


def as_text(codes: np.ndarray) -> list[str]:
    return ["".join(LETTERS[code] for code in row) for row in codes]
