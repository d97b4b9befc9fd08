"""Exports of a trained classifier: a merged transformers folder, ONNX and ONNX in int8.

Each export is compared with the run (the training) that it was made from.
"""
