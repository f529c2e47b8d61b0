"""Replay of job traces on clusters in virtual time, through the engine that serves.

traces: job traces of several formats. clusters: where they run. site: the ledger and the
problems. replay: events. rivals: heuristics to compare with. metrics: what came of it.
"""
