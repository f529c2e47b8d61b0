"""Figures beside published ones: the same inputs and definitions, one command each."""
