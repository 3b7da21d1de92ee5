"""The scheduled retraining: a container image, because TensorFlow does not fit into a zip."""
