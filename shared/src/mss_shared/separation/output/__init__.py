"""What is written of a song, in which format, and how the files add up."""
