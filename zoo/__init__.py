"""Which models exist, where their files are, and how they are made."""
