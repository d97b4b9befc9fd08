"""A made-up run that the tests of a module share."""

import pytest
from support.made_up_runs import fabricate


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return fabricate(tmp_path_factory.mktemp("runs") / "newsbriefs")
