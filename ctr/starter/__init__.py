"""A first config from what the files of a dataset hold. Imports no TensorFlow."""
