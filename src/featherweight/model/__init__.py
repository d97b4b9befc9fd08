"""The network, the engine that it runs on, and the way from texts to logits."""
