"""Running a network over a whole picture, tile by tile."""
