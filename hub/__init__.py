"""What the zoo and the ratings talk to the Hugging Face Hub with, whatever they keep there."""
