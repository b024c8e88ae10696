"""Puts every key of a recipe, with its default and its sentence, into the tutorial on recipes."""

from typing import Any

from regulome.recipes import field_docs

PAGE = "tutorials/recipes.md"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Append the table of keys to the page (a hook of MkDocs)."""
    if page.file.src_uri != PAGE:
        return markdown
    rows = [
        f"| `{field.key}` | {f'`{field.default}`' if field.default else ''} | {field.description} |"
        for field in field_docs()
    ]
    return markdown + "\n".join(["| key | default | meaning |", "|---|---|---|", *rows]) + "\n"
