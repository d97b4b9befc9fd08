"""The command line: one thin file a verb, parsing and printing only."""
