"""The chapter on what networks that read DNA look at."""

from __future__ import annotations

from collections.abc import Sequence

from regulome.report.material import Material
from regulome.report.page import Block, Listing, Section, Words


def dna_section(materials: Sequence[Material]) -> Section:
    """Say which verbs look inside runs on DNA."""
    troubles = [f"{material.label}: {trouble}" for material in materials for trouble in material.troubles]
    text = (
        "This page does not look inside networks that read DNA. Three verbs do: `regulome mutate` changes every base "
        "of a sequence in turn and shows which letters the prediction rests on; `regulome variants` tells what the "
        "variants of a VCF change; `regulome profile` lists every feature of one sequence, the most probable first."
    )
    folder = materials[0].run.path
    commands = (
        f"regulome mutate {folder} --genome GENOME.fa --region chr1:1,000,000-1,000,200 --out DIR\n"
        f"regulome variants {folder} --vcf VARIANTS.vcf.gz --genome GENOME.fa --out EFFECTS.tsv"
    )
    blocks: list[Block] = [Words([text]), Listing("To try", commands)]
    title = "What the model looks at" if len(materials) == 1 else "What the models look at"
    return Section("inside", title, [Words(troubles), *blocks] if troubles else blocks)
