"""The adapter (everything that is trained): building it into the network, saving it and loading it."""
