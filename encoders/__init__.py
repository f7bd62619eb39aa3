"""Networks, preprocessing, weights. The library never imports this package."""

DEFAULT = "fisher"
"""The encoder of a new catalogue, where none is named."""
