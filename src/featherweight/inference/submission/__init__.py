"""A submission for a contest: its columns, the value written for each class, and the order of the ids."""
