"""The frozen encoder (backbone): finding its files, and describing its layers."""
