"""What people look at: figures, and one HTML page that opens anywhere."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "comparison_figure": "figures.comparison",
        "mutation_figures": "mutation_pictures",
        "perturbation_figures": "perturbation_pictures",
        "report": "write",
        "save_figure": "figures.style",
        "write_grid_figures": "grid_results",
        "write_probability_table": "probability_table",
        "write_search_figure": "search_results",
    },
)
