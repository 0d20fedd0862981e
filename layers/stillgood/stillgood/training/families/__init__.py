"""Model families: how each learns, and how evidence chooses between them."""
