"""The frozen encoder: where it comes from, and which layers it has."""
