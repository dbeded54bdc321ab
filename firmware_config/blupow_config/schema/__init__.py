"""What a configuration may hold: parts that read values, and describe themselves to editors and readers."""
