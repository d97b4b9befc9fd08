"""The HTML report, tables and plots that compare runs."""
