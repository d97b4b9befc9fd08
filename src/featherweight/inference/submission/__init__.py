"""A contest's submission: which columns it has, what is written for a class, and in which order the ids stand."""
