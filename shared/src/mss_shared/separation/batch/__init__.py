"""Many songs, one after the other: what is done is kept, several processes share a folder."""
