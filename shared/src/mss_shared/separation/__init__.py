"""Separating songs into stems: chunking, overlap-add, ensembles, output files, batches."""
