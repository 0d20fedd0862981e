"""What strangers can do: hostile files, and callers and tellers of outcomes who lie."""
