"""The command line: one small file per command, which only parses arguments and prints results."""
