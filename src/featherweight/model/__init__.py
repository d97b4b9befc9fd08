"""The network, its engine (the device and precision that it is computed in), and the model from texts to logits."""
