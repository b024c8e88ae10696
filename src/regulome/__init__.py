"""regulome: learns the regulatory genome and shows what it learned."""

from regulome.lazy import lazy

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy(__name__, {})
