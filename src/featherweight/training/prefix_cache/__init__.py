"""The prefix cache: hidden states after the frozen lower layers, computed once and read from a file in every epoch."""
