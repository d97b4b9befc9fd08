"""Imports what a training needs. The process that forks the trainings of a search or an audit imports this module once.

That process, and thus each training until its loop has begun, ignores Ctrl-C: the caller then ends the training.
"""

from __future__ import annotations

import signal

from featherweight.environment import quick_imports

signal.signal(signal.SIGINT, signal.SIG_IGN)
with quick_imports():
    import sklearn.model_selection  # noqa: F401

    import featherweight.adapter.build
    import featherweight.backbone.tokenizer
    import featherweight.evaluation.metrics
    import featherweight.model.text_model
    import featherweight.training.accelerator
    import featherweight.training.checkpoint
    import featherweight.training.loop
    import featherweight.workflows.input_fingerprints  # noqa: F401
