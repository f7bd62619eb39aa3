"""Networks, preprocessing, weights. The library never imports this package."""
