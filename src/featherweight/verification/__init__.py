"""Checks that a finished run holds what it claims."""
