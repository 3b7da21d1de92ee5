"""The model: what it takes and answers, what its manifest says of it, and the proof that it is what it says."""
