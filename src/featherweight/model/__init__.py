"""The network, the engine that it runs on, and the model that maps texts to logits."""
