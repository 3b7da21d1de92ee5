"""The bucket: published versions, which of them is live, why, and who may ask."""
