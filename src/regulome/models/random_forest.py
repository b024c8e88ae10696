"""A random forest as a network: the trees are buffers, and all trees of all examples are walked at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from regulome.errors import InputError
from regulome.models.hyperparameters import Task, check_count, check_number, check_task
from regulome.models.registry import Paper, register

Arrays = Sequence[npt.NDArray[Any]]
_BUFFERS = {
    "root": torch.int32,
    "left": torch.int32,
    "right": torch.int32,
    "feature": torch.int32,
    "threshold": torch.float32,
    "value": torch.float32,
    "depth": torch.int32,
}


@register(
    "random-forest",
    title="Random forest",
    paper=Paper("Breiman L", "Random forests", "Machine Learning 45:5-32", 2001, "10.1023/A:1010933404324"),
)
class RandomForest(nn.Module):
    """A fitted random forest over every bin of every mark; it has no gradient.

    The forest is grown elsewhere (by scikit-learn) and taken over with :meth:`pour`. Before that it is one leaf that
    answers 0. The nodes of all trees lie in one list: inner node i sends an example to ``left[i]`` where feature
    ``feature[i]`` ≤ ``threshold[i]``, else to ``right[i]``; a leaf sends it to itself.

    Args:
        marks: Number of histone marks.
        bins: Number of bins of a window.
        task: "classification" or "regression".
        trees: Number of trees to grow, for whoever grows them.
        max_depth: Greatest depth of a tree; None for no limit.
        min_samples_leaf: Fewest training examples in a leaf.
        max_features: Share of the features tried at each split; None for the square root of their number
            (classification) or all (regression).
    """

    root: Tensor
    left: Tensor
    right: Tensor
    feature: Tensor
    threshold: Tensor
    value: Tensor
    depth: Tensor

    def __init__(
        self,
        marks: int,
        bins: int,
        *,
        task: Task = "classification",
        trees: int = 500,
        max_depth: int | None = None,
        min_samples_leaf: int = 1,
        max_features: float | None = None,
    ) -> None:
        super().__init__()
        self.features = check_count("marks", marks) * check_count("bins", bins)
        self.task = check_task(task)
        self.trees = check_count("trees", trees)
        self.max_depth = None if max_depth is None else check_count("max_depth", max_depth)
        self.min_samples_leaf = check_count("min_samples_leaf", min_samples_leaf)
        self.max_features = None if max_features is None else check_number("max_features", max_features, low=0, high=1)
        self.flatten = nn.Flatten()
        for name, dtype in _BUFFERS.items():
            self.register_buffer(name, torch.zeros(() if name == "depth" else 1, dtype=dtype))
        if self.task == "classification":
            self.value.fill_(0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Map marks float32 [batch, mark, bin] to [batch, 1].

        Classification gives the logit of the mean leaf probability of "high", which is kept 1e-7 away from 0 and 1;
        regression the mean leaf value.
        """
        flat = self.flatten(x)
        node = self.root.expand(len(flat), -1)
        for _ in range(int(self.depth)):
            right = flat.gather(1, self.feature[node].long()) > self.threshold[node]
            node = torch.where(right, self.right[node], self.left[node])
        mean = self.value[node].mean(dim=1, keepdim=True)
        return torch.logit(mean, eps=1e-7) if self.task == "classification" else mean

    def pour(self, left: Arrays, right: Arrays, feature: Arrays, threshold: Arrays, value: Arrays) -> None:
        """Take over a grown forest: for each tree five arrays with a number per node, the root first.

        Args:
            left: Index of the left child in its tree; −1 in a leaf (scikit-learn's ``children_left``).
            right: Index of the right child.
            feature: Index of the tested feature (mark, then bin); ignored in a leaf.
            threshold: An example goes left where feature ≤ threshold.
            value: Probability of "high", or the value, in a leaf.

        Raises:
            InputError: There is no tree, or one tests a feature that the inputs do not have.
        """
        sizes = [len(tree) for tree in left]
        if not sizes:
            raise InputError("expected a forest of at least one tree")
        starts = np.concatenate(([0], np.cumsum(sizes)))
        own = np.arange(starts[-1])
        first = np.repeat(starts[:-1], sizes)
        joined = [np.concatenate([np.asarray(tree).ravel() for tree in trees]) for trees in (left, right, feature)]
        leaf = joined[0] < 0
        children = [np.where(leaf, own, first + child) for child in joined[:2]]
        tested = np.where(leaf, 0, joined[2])
        if tested.max() >= self.features or tested.min() < 0:
            raise InputError(f"expected trees over {self.features} features, but one tests feature {tested.max()}")
        exact = np.concatenate([np.asarray(tree, np.float64).ravel() for tree in threshold])
        # x ≤ t for every float32 x exactly when x ≤ the largest float32 that is not above t.
        rounded = exact.astype(np.float32)
        rounded = np.where(rounded > exact, np.nextafter(rounded, np.float32(-np.inf)), rounded)
        arrays = {
            "root": starts[:-1],
            "left": children[0],
            "right": children[1],
            "feature": tested,
            "threshold": np.where(leaf, np.float32(np.inf), rounded),
            "value": np.concatenate([np.asarray(tree).ravel() for tree in value]),
            "depth": np.asarray(_depth(children[0], children[1], starts[:-1])),
        }
        for name, dtype in _BUFFERS.items():
            setattr(self, name, torch.as_tensor(arrays[name]).to(self.root.device, dtype))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        # Forests differ in their number of nodes: the buffers take the size of what comes.
        for name in _BUFFERS:
            saved = state_dict.get(prefix + name)
            if isinstance(saved, Tensor):
                setattr(self, name, getattr(self, name).new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *rest)


def _depth(left: npt.NDArray[Any], right: npt.NDArray[Any], level: npt.NDArray[Any]) -> int:
    depth = 0
    while len(level := level[left[level] != level]):
        level = np.concatenate((left[level], right[level]))
        depth += 1
    return depth
