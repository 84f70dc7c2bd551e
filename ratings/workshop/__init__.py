"""What is made once for the ratings and never imported by the page: the pictures that are compared."""
