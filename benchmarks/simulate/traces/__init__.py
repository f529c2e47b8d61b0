"""Job traces: one reader per format, all of them streams of `Job`."""
