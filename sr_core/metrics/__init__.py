"""How close two pictures are: arrays in, a float out, the data range always given."""
