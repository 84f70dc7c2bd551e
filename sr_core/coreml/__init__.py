"""Core ML packages: written from the weights of a network, and run and checked on any machine."""
