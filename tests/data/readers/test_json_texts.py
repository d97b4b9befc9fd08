"""Objects with a list of texts: when each of these texts is a row."""

import pytest

from featherweight.data.readers.json_texts import keys_of_texts
from featherweight.data.readers.reading import Reading


@pytest.mark.parametrize(
    ("row", "known", "keys"),
    [
        ({"tag": "greeting", "patterns": ["Hi", "Hello"], "responses": ["Hello!"]}, (), ("patterns", "tag")),
        ({"category": "small talk", "tag": "bye", "texts": ["Bye"]}, ("text", "label"), ("texts", "tag")),
        ({"tweet": "great phone", "label": "good", "phrases": ["great", "phone"]}, (), None),
        ({"tweet": "great", "label": "good", "phrases": ["great"]}, ("tweet", "label"), None),
    ],
)
def test_texts_of_a_list_are_rows_unless_another_value_is_the_text(row, known, keys):
    assert keys_of_texts(row, Reading(known=known)) == keys
