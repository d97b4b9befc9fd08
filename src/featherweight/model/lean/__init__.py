"""The lean pass: forward and backward computations without the parts that LoRA does not need."""
