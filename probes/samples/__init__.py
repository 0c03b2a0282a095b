"""Labelled activations: in memory, on disk, split by group; and the labels they carry."""
