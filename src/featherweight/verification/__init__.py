"""Checks of a finished run: does it hold what it says of itself?"""
