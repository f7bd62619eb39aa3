"""m2s finds scenes in films.

Importing this package loads no torch, faiss or av: each module imports what it needs, and commands
import the modules that they need.
"""

from __future__ import annotations

__version__ = "0.1.0"
