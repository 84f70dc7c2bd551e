"""Components that Gradio does not have: each one is reachable by keyboard and escapes what it shows."""
