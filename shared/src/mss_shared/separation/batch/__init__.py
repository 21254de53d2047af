"""Batches of songs: resumable, and shared by several processes on one output folder."""
