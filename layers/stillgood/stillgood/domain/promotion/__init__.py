"""What promote decides, and how its decisions are recorded."""
