"""The paper's Table 2 (seed, 2.2), as printed: place retrieval on LVU, precision in per cent at 1, 5 and 10."""

from __future__ import annotations

PAPER_VOCABULARY = "place"

PAPER_TABLE: dict[str, dict[str, tuple[float, float, float]]] = {
    "CLIP": {
        "office": (30, 20, 19),
        "airport": (0, 15, 10),
        "school": (28.57, 26.66, 25),
        "hotel": (35.71, 28.57, 29.28),
        "prison": (52.94, 42.94, 42.94),
        "restaurant": (20, 13.99, 13.99),
        "all queries": (35.08, 29.64, 28.85),
    },
    "SlowFast": {
        "office": (0, 16, 17),
        "airport": (0, 0, 10),
        "school": (76.19, 20.47, 32.14),
        "hotel": (0, 0, 10),
        "prison": (35.29, 40, 20.29),
        "restaurant": (0, 20, 10),
        "all queries": (38.59, 22.63, 21.84),
    },
    "Movies2Scenes": {
        "office": (30, 36, 26),
        "airport": (0, 15, 10),
        "school": (50, 49.04, 45.95),
        "hotel": (42.85, 20, 24.28),
        "prison": (58.82, 45.88, 40),
        "restaurant": (40, 16, 14),
        "all queries": (47.36, 39.29, 35.70),
    },
}
"""By model and row. Figures are cut, not rounded, after two decimals."""

PAPER_QUERIES = {"office": 10, "airport": 4, "school": 42, "hotel": 14, "prison": 34, "restaurant": 10}
"""How many queries each row had: the counts with which "all queries" follows from the rows, 114 together."""
