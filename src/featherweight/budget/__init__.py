"""The budget of trainable parameters: counting, planning and enforcing it."""
