"""Pages for people: self-contained HTML and SVG from stored documents. No statistics of their own."""
