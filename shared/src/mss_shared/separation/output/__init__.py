"""Output files: which stems are written, in which format, and how they add up to the song."""
