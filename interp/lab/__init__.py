"""The lab: one training phenomenon after another, each on a model small enough to train while you wait."""
