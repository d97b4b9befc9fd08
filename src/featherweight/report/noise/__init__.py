"""The results of a label audit: an HTML page, and a CSV file of suspects.

A label audit searches the training rows for wrong labels; a suspect is a row whose label is probably wrong.
"""
