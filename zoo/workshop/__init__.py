"""Making models: what the running demo never imports."""
