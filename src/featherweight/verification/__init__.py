"""Verification of a finished run: are its files complete and consistent, and can its results be reproduced?"""
