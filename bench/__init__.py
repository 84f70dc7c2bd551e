"""Measurements of the project against independent implementations; the demo never imports this."""
