"""Super-resolution itself: pictures, architectures, tiled inference and metrics.

This package knows no Gradio, no Hub and no votes.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
