"""Train, quantise, evaluate and export hand models."""
