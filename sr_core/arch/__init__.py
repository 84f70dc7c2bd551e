"""Architectures: one readable file each, a spec in and a module out."""
