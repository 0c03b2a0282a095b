"""Whether a model uses what can be read: erasing, swapping, steering, interchange, and one verdict."""
