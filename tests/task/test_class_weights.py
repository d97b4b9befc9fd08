"""Weights of the classes in the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from featherweight.errors import UserError
from featherweight.task.loss import class_weights


def test_balanced_class_weights_are_scikit_learns(tiny_recipe: Any) -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    ours = class_weights(tiny_recipe(training={"class_weights": "balanced"}), labels, 3)
    np.testing.assert_allclose(ours, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-6)
    with pytest.raises(UserError, match=r"class_weights has 2 numbers; the data has 3"):
        class_weights(tiny_recipe(training={"class_weights": [1.0, 2.0]}), labels, 3)
    with pytest.raises(UserError, match="number 2 is 0, but its class has training rows; write a number above 0"):
        class_weights(tiny_recipe(training={"class_weights": [1.0, 0.0, 1.0]}), labels, 3)


def test_more_weights_than_classes_are_refused(tiny_recipe: Any) -> None:
    with pytest.raises(UserError, match="class_weights has 4 numbers; the data has 3 classes"):
        class_weights(tiny_recipe(training={"class_weights": [1.0] * 4}), np.array([0, 1, 2]), 3)
