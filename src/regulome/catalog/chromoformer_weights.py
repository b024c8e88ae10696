"""Weights of Chromoformer under the three generations of names that were published.

=====================  ==================  ==========================  ==========
newest, and ours       older               oldest                      N
=====================  ==================  ==========================  ==========
embed.N                embedN              embedN_a                    resolution
pairwise_interaction.N pw_intN             embedN_b                    resolution
regulation.N           regN
regulation.N.transf…                       transformerN                resolution
….lin_proj_pcre        ….lin_proj_pcre     ….lin_proj_c
=====================  ==================  ==========================  ==========

The files also hold 1,086 numbers that take no part in the network: ``ln`` beside the pairwise interaction's layers,
``w_bias`` in all attentions, ``gamma_f`` in those outside of the regulation. They are dropped.
"""

from __future__ import annotations

import re
from typing import Any

from regulome.catalog.sequence_weights import Found, State
from regulome.errors import InputError

_NEWEST = (
    (r"^embed(\d+)_a\.", r"embed.\1."),
    (r"^embed(\d+)_b\.", r"pairwise_interaction.\1."),
    (r"^transformer(\d+)\.", r"regulation.\1.transformer."),
    (r"^embed(\d+)\.", r"embed.\1."),
    (r"^pw_int(\d+)\.", r"pairwise_interaction.\1."),
    (r"^reg(\d+)\.", r"regulation.\1."),
    (r"\.lin_proj_c\.", ".lin_proj_pcre."),
)
_UNUSED = re.compile(
    r"pairwise_interaction\.\d+\.ln\.(weight|bias)"
    r"|(embed|pairwise_interaction|regulation)\.\d+\.transformer\.layers\.\d+\.self_att\.w_bias\.weight"
    r"|(embed|pairwise_interaction)\.\d+\.transformer\.layers\.\d+\.self_att\.gamma_f"
)


def newest_name(name: str) -> str:
    """Return what a parameter is called in the newest generation of files, and in our network.

    Example:
        >>> newest_name("embed500_b.lin_proj_c.weight")
        'pairwise_interaction.500.lin_proj_pcre.weight'
    """
    for old, new in _NEWEST:
        name = re.sub(old, new, name)
    return name


def is_unused(name: str) -> bool:
    """Tell whether a published parameter takes no part in the network; ``name`` is of the newest generation."""
    return _UNUSED.fullmatch(name) is not None


def chromoformer(state: State) -> Found | None:
    """Recognise Chromoformer by its names; None where it is not.

    Resolutions are taken from the coarsest to the finest, as published, because not all kinds of file keep an order.
    The numbers of heads of the first two transformers stand in parameters that are not used; where a file has left
    those out they are taken for the published 2.

    Args:
        state: Tensors under the file's names.

    Raises:
        InputError: The names are there, but not all of the shapes.
    """
    published = {newest_name(name): tensor for name, tensor in state.items()}
    found = (re.fullmatch(r"embed\.(\d+)\.lin_proj\.weight", name) for name in published)
    resolutions = sorted((int(match[1]) for match in found if match), reverse=True)
    if not resolutions or "fc_head.0.weight" not in published:
        return None
    ours = {name: tensor for name, tensor in published.items() if not is_unused(name)}

    def shape(name: str) -> tuple[int, ...]:
        tensor = published.get(name)
        if tensor is None or tensor.ndim != 2:
            raise InputError(f"looks like chromoformer, but has no matrix {name}")
        return tuple(tensor.shape)

    def layer(part: str) -> str:
        return f"{part}.{resolutions[0]}.transformer.layers.0"

    def layers(part: str) -> int:
        start = rf"{part}\.{resolutions[0]}\.transformer\.layers\.(\d+)\."
        return len({match[1] for name in ours if (match := re.match(start, name))})

    def heads(part: str) -> int:
        gamma = published.get(f"{layer(part)}.self_att.gamma_f")
        return 2 if gamma is None else len(gamma)

    def hidden(part: str) -> int:
        return shape(f"{layer(part)}.ff.l1.weight")[0]

    width, marks = shape(f"embed.{resolutions[0]}.lin_proj.weight")
    inner = shape(f"{layer('regulation')}.self_att.att.weight")[0] // 4
    settings: dict[str, Any] = {
        "marks": marks,
        "task": "regression" if shape("fc_head.2.weight")[0] == 1 else "classification",
        "resolutions": tuple(resolutions),
        "width": width,
        "head": shape("fc_head.0.weight")[0],
        "embedding": (heads("embed"), hidden("embed")),
        "pairwise": (
            layers("pairwise_interaction"),
            heads("pairwise_interaction"),
            hidden("pairwise_interaction"),
        ),
        "regulation": (layers("regulation"), heads("regulation"), inner, hidden("regulation")),
    }
    return "chromoformer", settings, ours
