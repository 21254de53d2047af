"""From a song to its stems: chunks, streams, sums, files, many songs."""
