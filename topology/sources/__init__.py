"""Where levels come from: one file per family of node labels."""
