"""Smaller networks from trained ones: fewer heads, fewer weights, fewer bits, and what each of them costs."""
