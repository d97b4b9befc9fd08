"""The run folder: its files, their format, locking it, and cleaning it up."""
