"""The HTML report and the plots of one run."""
