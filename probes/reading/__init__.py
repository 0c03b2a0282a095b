"""What can be read off activations, how well and how simply, each beside its controls."""
