"""Two labelled texts in what people hold them in: lists, dicts, DataFrames, Arrow tables, data sets."""

from __future__ import annotations

import datasets
import pandas as pd
import pyarrow as pa

TEXTS = ["crow", "zinc silver"]
ROWS = [{"text": text, "label": text[0]} for text in TEXTS]
FRAME = pd.DataFrame({"number": [1, 2], "text": TEXTS, "label": ["c", "z"]})
TITLES = pd.DataFrame({"number": [1, 2], "title": TEXTS})
TABLE = pa.table({"text": TEXTS})
DATASET = datasets.Dataset.from_dict({"text": TEXTS, "label": ["c", "z"]})
STREAM = DATASET.to_iterable_dataset()
COLUMNS = {"text": TEXTS, "label": ["c", "z"]}
SPLITS = datasets.DatasetDict(train=DATASET, validation=DATASET)
TO_CSV = "to_csv('rows.csv', index=False)"
"""How a message saves rows: the call after ``frame.``."""
