"""How shots are found: one detector a module, and the steps of the default one. The interface is ``shots``."""
