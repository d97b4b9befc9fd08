"""Exports of a trained classifier: a merged transformers folder, ONNX, and int8 for ONNX Runtime or OpenVINO.

Each export is compared with the run (the training) that it was made from.
"""
