"""File and object formats that describe a fabric: each as functions to and from a `Reading`."""
