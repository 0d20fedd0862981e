"""batch: the champion over files."""
