"""The model: its input and output, its manifest, and the proof that it is what the manifest says."""
