"""The page on a classifier that PEFT saved: its settings, and its figures on rows that the user names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from featherweight.adapter.peft.folder import PeftFolder, read_peft_folder
from featherweight.adapter.peft.weigh import as_dict
from featherweight.environment import describe_machine, versions
from featherweight.errors import UserError
from featherweight.report.run.contents import contents_of_peft
from featherweight.report.run.page import write_page


def report_peft_folder(path: str | Path, out: Path, data: str | None = None, labels: Sequence[str] = ()) -> PeftFolder:
    """Write the page ``out`` on the classifier in ``path``, evaluated on the labelled set ``data`` where one is named.

    Nothing is written into ``path``. Raises UserError where ``out`` is taken, and where the folder or the rows cannot
    be read.
    """
    if out.suffix != ".html" or not out.parent.is_dir():
        raise UserError(f"--out {out}: name an .html file in a folder that exists")
    if out.exists():
        raise UserError(f"--out {out}: exists; name a new file, or remove that one")
    found = read_peft_folder(path, labels)

    from featherweight.inference.classifier import Classifier
    from featherweight.workflows.evaluate import evaluate_on

    classifier = Classifier.load(path, labels=labels)
    evaluation = {"test": evaluate_on(classifier, data)} if data is not None else {}
    engine = {"device": classifier.engine.device, "precision": classifier.engine.precision}
    environment = {"evaluated on": data, **_settings(found), **versions(), **describe_machine(), **engine}
    tensors = len(found.tensors)
    contents = contents_of_peft(found.folder, found.base.name, as_dict(found), evaluation, environment, tensors)
    write_page(contents, out)
    return found


def _settings(found: PeftFolder) -> dict[str, Any]:
    """What the page says of the adapter's settings, in PEFT's words, as far as they are set."""
    shown = found.settings.model_dump(exclude={"base_model_name_or_path"}, exclude_defaults=True)
    return {key: _listed(value) for key, value in shown.items() if value} | {"warnings": list(found.notes)}


def _listed(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
