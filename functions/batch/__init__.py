"""Many pictures at once: what is dropped into the bucket is read, and answered by a table."""
