"""Measures the real server from outside, as a client hears it."""
