"""Files, text, images and the import of TensorFlow."""
