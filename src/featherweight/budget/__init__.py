"""The budget of trainable parameters: counted, planned and enforced."""
