"""The Gradio app: what a visitor sees, and the public endpoints."""
