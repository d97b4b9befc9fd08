"""The lean pass: forward and backward computations of an encoder, without the parts that LoRA does not need."""
