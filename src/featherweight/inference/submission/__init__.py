"""Submissions to a contest (``predict --kaggle``): columns, spelling of the classes, ids and their order."""
