"""What is trained: built into the network, saved and loaded."""
