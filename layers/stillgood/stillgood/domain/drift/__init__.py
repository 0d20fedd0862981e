"""What a window of predictions looks like beside the reference."""
