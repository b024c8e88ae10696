"""Recipes: a TOML file per published system, and what reads and checks them."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "Recipe": "schema",
        "field_docs": "load",
        "list_recipes": "load",
        "load_recipe": "load",
        "load_space": "search_space",
        "recipe_names": "load",
        "space_names": "search_space",
        "to_toml": "load",
        "with_settings": "load",
    },
)
