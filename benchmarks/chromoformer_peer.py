"""Chromoformer the published way, written from its description: the peer of the two Chromoformer cases.

A data set class reads one ``.npy`` file of depths for each region of a gene, averages it in bins of each resolution and
pads it, with masks over all pairs of slots; batches of 64 such genes go through full attention. Ours takes batches of
64 from a dataset that was prepared from the same files (which is not timed), with the threads and the optimiser that
our trainer takes. Reading is timed on both sides, training includes the loss, the backward pass and the optimiser. Both
sides have the same weights and the same genes; contacts and lengths are as in the published demonstration. The peer
takes some seconds and some gigabytes for each batch: it goes once between two turns of ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from benchmarks.full_chromoformer import PCRES, Layout, logits
from benchmarks.measure import Clock, prepared, result, seconds, wall_seconds
from regulome import models
from regulome.datasets import RegionBatches, open_dataset
from regulome.datasets.build_published_contacts import prepare_published_contacts
from regulome.models.recurrent import threads_for
from regulome.recipes import load_recipe
from regulome.training.optimizer import make_optimizer

BATCH, GENES, MARKS, WINDOW = 64, 128, 7, 40_000
RESOLUTIONS = (2000, 500, 100)
#: Batches of ours in a turn.
TURN = 6


class DepthFiles(Dataset[dict[str, Any]]):
    """Genes of a table, each read from the files of its regions when it is asked for."""

    def __init__(self, table: Path, folder: Path) -> None:
        self.genes, self.folder = pl.read_csv(table).to_dicts(), folder

    def __len__(self) -> int:
        return len(self.genes)

    def __getitem__(self, place: int) -> dict[str, Any]:
        gene = self.genes[place]
        half = WINDOW // 2
        names = [f"{gene['chrom']}:{gene['start'] - half}-{gene['start'] + half}"]
        names += (gene["neighbors"] or "").split(";") if gene["neighbors"] else []
        scores = [float(score) for score in str(gene["scores"]).split(";")] if gene["neighbors"] else []
        answer: dict[str, Any] = {"label": gene["label"]}
        depths = [torch.from_numpy(np.load(self.folder / f"{name}.npy").astype(np.float32)) for name in names]
        for width in RESOLUTIONS:
            slots = WINDOW // width
            found = [_padded(depth, width, slots) for depth in depths]
            if gene["strand"] == "-":
                found[0] = tuple(value.flip(0) for value in found[0])
            empty = torch.zeros(slots, MARKS), torch.zeros(slots, dtype=torch.bool)
            found += [empty] * (1 + PCRES - len(found))
            masks = [~present[None, None, :].repeat(1, slots, 1) for _, present in found]
            answer[f"promoter.{width}"], answer[f"promoter_mask.{width}"] = found[0][0], masks[0]
            answer[f"pcres.{width}"] = torch.stack([features for features, _ in found[1:]])
            answer[f"pcres_mask.{width}"] = torch.stack(masks[1:])
        real = torch.arange(1 + PCRES) < len(names)
        answer["near"] = ~(real[:, None] & real)[None]
        answer["frequency"] = torch.zeros(1 + PCRES, 1 + PCRES)
        answer["frequency"][0, 1 : len(names)] = torch.tensor(scores)
        return answer


def _padded(depth: Tensor, width: int, slots: int) -> tuple[Tensor, Tensor]:
    """Logarithms of the means of runs of bases in the middle of all slots [slots, marks], and where they are."""
    means = torch.stack([run.mean(1) for run in depth.split(width, 1)])
    left = -(-(slots - len(means)) // 2)
    features, present = torch.zeros(slots, MARKS), torch.zeros(slots, dtype=torch.bool)
    features[left : left + len(means)] = torch.log(means + 1)
    present[left : left + len(means)] = True
    return features, present


def _layout(batch: dict[str, Any]) -> Layout:
    promoters = {width: (batch[f"promoter.{width}"], batch[f"promoter_mask.{width}"]) for width in RESOLUTIONS}
    pcres = {width: (batch[f"pcres.{width}"], batch[f"pcres_mask.{width}"]) for width in RESOLUTIONS}
    return Layout(promoters, pcres, batch["near"], batch["frequency"])


def compare(data_dir: Path, *, training: bool, clock: Clock = wall_seconds) -> dict[str, object]:
    """Genes per second of training or of prediction, reading included, and their ratio."""
    folder = _world(data_dir)
    dataset = open_dataset(folder / "dataset")
    torch.manual_seed(0)
    network: Any = models.create("chromoformer", marks=MARKS)
    other = copy.deepcopy(network)
    batches = RegionBatches(dataset, batch_size=BATCH, shuffle=training)
    files = DepthFiles(folder / "genes.csv", folder / "npy")
    loader = DataLoader(files, BATCH, shuffle=training, collate_fn=default_collate, generator=torch.Generator())
    error = _difference(network, batches.dataset, files)
    optimizer = make_optimizer(load_recipe("chromoformer-published").training, network)
    plain = torch.optim.AdamW(other.parameters(), 3e-5)

    def ours() -> None:
        done = 0
        with threads_for(network):
            while done < TURN:
                for batch in batches:
                    if training:
                        loss = F.binary_cross_entropy_with_logits(network(batch.inputs), batch.targets)
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                    else:
                        network(batch.inputs)
                    done += 1
                    if done == TURN:
                        break

    def peer() -> None:
        batch = next(iter(loader))
        answer = logits(other, _layout(batch))
        if training:
            plain.zero_grad()
            F.cross_entropy(answer, batch["label"]).backward()
            plain.step()

    with torch.set_grad_enabled(training):
        times = _turns(ours, peer, clock)
    return result(
        BATCH * TURN / times[0],
        BATCH / times[1],
        unit="genes/s",
        peer_name="the published way: a file for each region, full attention; batch 64",
        batch=BATCH,
        pcres_of_a_gene=float(f"{len(dataset.inputs['contact']) / len(dataset):.3g}"),
        largest_difference=error,
        threads=torch.get_num_threads(),
    )


def _turns(ours: Callable[[], None], peer: Callable[[], None], clock: Clock) -> tuple[float, float]:
    ours()
    before = seconds(ours, clock)
    theirs = seconds(peer, clock)
    return (before + seconds(ours, clock)) / 2, theirs


def _difference(network: Any, dataset: Any, files: DepthFiles) -> float:
    """The largest difference between what both sides answer to some genes."""
    (batch,) = RegionBatches(dataset, np.arange(4), batch_size=4)
    with torch.no_grad():
        both = logits(network, _layout(default_collate([files[place] for place in range(4)])))
        difference = float((network(batch.inputs)[:, 0] - (both[:, 1] - both[:, 0])).abs().max())
    if difference > 1e-4:
        raise AssertionError(f"answers differ by {difference}")
    return difference


def _world(data_dir: Path) -> Path:
    """A table of genes, their depths, and the dataset of both."""
    folder = data_dir / "chromoformer"
    with prepared(folder) as temporary:
        if temporary is not None:
            (temporary / "npy").mkdir(parents=True, exist_ok=True)
            _write(temporary)
            prepare_published_contacts(
                temporary / "genes.csv", temporary / "npy", temporary / "dataset", overwrite=True
            )
    return folder


def _write(folder: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for number in range(GENES):
        tss = 100_000 * (number + 1)
        near = random.choice(9, p=[0.11, 0.08, 0.03, 0.03, 0.04, 0.05, 0.04, 0.04, 0.58])
        lengths = random.lognormal(np.log(5_600), 0.45, near).clip(500, WINDOW).astype(int)
        starts = tss + 20_000 + 8_000 * np.arange(near)
        names = [f"chr1:{start}-{start + length}" for start, length in zip(starts, lengths, strict=True)]
        for name in [f"chr1:{tss - WINDOW // 2}-{tss + WINDOW // 2}", *names]:
            begin, end = map(int, name.split(":")[1].split("-"))
            depth = random.integers(0, 8, (MARKS, end - begin), dtype=np.uint8)
            np.save(folder / "npy" / f"{name}.npy", depth.astype(np.float16))
        rows.append(
            {
                "gene_id": f"G{number:04d}",
                "eid": "E003",
                "label": number % 2,
                "expression": float(number % 2),
                "chrom": "chr1",
                "start": tss,
                "end": tss + 1,
                "strand": "+-"[number // 2 % 2],
                "split": 1,
                "neighbors": ";".join(names),
                "scores": ";".join(f"{score:.3f}" for score in np.sort(random.uniform(1.6, 9, near))[::-1]),
            }
        )
    pl.DataFrame(rows).write_csv(folder / "genes.csv")
