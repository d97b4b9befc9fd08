"""The page of a label audit, and the CSV file of suspects."""
