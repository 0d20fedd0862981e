"""What monitor decides, and from which evidence."""
