"""Pure functions from data to figures; none touches the state of pyplot."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "comparison_figure": "comparison",
        "save_figure": "style",
    },
)
