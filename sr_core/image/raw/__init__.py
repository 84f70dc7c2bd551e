"""RAW photos in, linear DNGs out."""
