"""What a fitted model looks at: a file per method, each for any model whose inputs it understands."""

from regulome.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        "AttentionMaps": "attention",
        "Average": "average",
        "ClassMaps": "class_map",
        "Explanation": "explanation",
        "Gradients": "gradient",
        "METHODS": "methods",
        "VariantScores": "variant_effects",
        "Mutagenesis": "mutation_folder",
        "Saturation": "saturation",
        "Saturator": "saturation",
        "attention_maps": "attention",
        "class_maps": "class_map",
        "compare_words": "text_words",
        "context_curve": "text_context",
        "explain": "from_run",
        "gradients": "gradient",
        "mutate": "mutagenesis",
        "open_explanation": "explanation",
        "open_mutagenesis": "mutation_folder",
        "positions": "attention",
        "profile": "feature_profile",
        "saturate": "saturation",
        "score_recovery": "recovery",
        "score_variants": "variant_effects",
        "stream_attention": "attention",
        "stream_gradients": "gradient",
        "untouched": "as_found",
    },
)
