"""The scheduled retraining: a container image, as TensorFlow does not fit a zip."""
