"""monitor: gather, decide, apply."""
