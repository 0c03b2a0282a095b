"""Labelled positions in texts: ready tasks, readers, captures of them, and what the input alone gives."""
