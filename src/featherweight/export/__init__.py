"""Exports of a trained classifier: a merged transformers folder, ONNX and ONNX in int8, each compared with its run."""
