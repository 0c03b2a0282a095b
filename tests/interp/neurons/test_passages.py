from typing import Any

import numpy as np
import pytest

from interp.errors import InputError
from interp.models.tokenizers import body_ids, frame
from interp.neurons import text_activity
from interp.neurons.passages import label_passages
from interp.neurons.rows import LabelledRows

TEXTS = {"en": ["the cat slept in the sun " * 20, "a short one"], "fr": ["le chat dort au soleil " * 9]}


def test_rows_hold_every_token_of_their_documents_in_order(tiny: Any) -> None:
    cut = label_passages(tiny, TEXTS, n_tokens=24)
    assert isinstance(cut, LabelledRows)
    framed, every = frame(tiny), [*TEXTS["en"], *TEXTS["fr"]]
    for document, written in enumerate(every):
        rows = np.flatnonzero(cut.text == document)
        read = [cut.batch.tokens[row][cut.language[row] >= 0].tolist() for row in rows]
        body = body_ids(tiny.tokenizer, written)
        joined = [token for piece in read for token in piece]
        assert joined == body[: len(joined)]
        assert len(body) - len(joined) < 16, "only a short rest may be left out"
        for row in rows:
            assert tuple(cut.batch.tokens[row, : len(framed.before)]) == framed.before
            spoken = cut.language[row][cut.language[row] >= 0]
            assert set(spoken) == {0 if document < 2 else 1}
    assert cut.batch.lengths.max() <= 24


def test_what_is_chosen_by_document_keeps_its_labels(tiny: Any) -> None:
    cut = label_passages(tiny, TEXTS, n_tokens=24)
    chosen = cut.of(np.array([1, 2]))
    assert set(chosen.text) == {1, 2}
    assert len(chosen.batch) == len(chosen.text) == len(chosen.language)
    assert set(chosen.language[chosen.text == 2].ravel()) <= {-1, 1}


def test_it_is_what_text_activity_reads(tiny: Any) -> None:
    cut = label_passages(tiny, TEXTS)
    activity = text_activity(tiny, cut)
    assert activity.languages == ("en", "fr")
    np.testing.assert_array_equal(activity.document, cut.text)


@pytest.mark.parametrize(
    ("documents", "n_tokens", "says"),
    [({"en": ["a"], "fr": []}, 24, "no text in"), ({"en": ["a"], "fr": [""]}, 24, "holds no token")],
)
def test_what_has_no_text_is_refused(tiny: Any, documents: dict, n_tokens: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        label_passages(tiny, documents, n_tokens=n_tokens)


def test_a_row_needs_room_beside_its_frame(tiny: Any) -> None:
    with pytest.raises(InputError, match="no room"):
        label_passages(tiny, TEXTS, n_tokens=len(frame(tiny).before))
