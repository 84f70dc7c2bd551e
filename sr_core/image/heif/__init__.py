"""HEIF files: HEIC and AVIF."""
