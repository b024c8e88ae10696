"""Filters that start as known motifs, for the networks that ask for them."""

from __future__ import annotations

import logging

import torch
from torch import nn

from regulome.genome.motifs import read_motifs
from regulome.models.danq import DanQJaspar

logger = logging.getLogger(__name__)


def start_from_motifs(network: nn.Module) -> None:
    """Let a network's first filters be the motifs of its hyperparameter ``motifs``, before it is trained.

    A trained network needs the file no more: its filters are among its weights.

    Args:
        network: Any network; one without that hyperparameter, or with an empty one, stays as it is.

    Raises:
        InputError: The file is no file of motifs, or has more motifs than the network has filters.
    """
    if not isinstance(network, DanQJaspar) or not network.motifs:
        return
    motifs = read_motifs(network.motifs)
    count = network.start_from([torch.from_numpy(motif.probabilities) for motif in motifs])
    logger.info("%d of %d filters start as motifs of %s", count, network.convolutions[0].out_channels, network.motifs)
