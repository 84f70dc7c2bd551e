"""Photos: bytes to a Picture and back."""
