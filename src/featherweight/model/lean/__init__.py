"""The lean pass: forward and backward computations that leave out what LoRA does not need."""
