"""Recipe to model: the backbone, what its layers are called, what an adapter weighs, and the network itself."""
