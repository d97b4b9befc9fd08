"""The run folder: what it holds, who may write in it, and what is cleared away."""
