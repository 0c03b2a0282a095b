import subprocess
import sys

import pytest

from interp.errors import InputError
from interp.languages import identify
from interp.models.zoo.texts import read_sentences

LANGUAGES = ["en", "fr", "de", "es"]


def test_the_shipped_sentences_are_told_apart():
    for language, rows in read_sentences().items():
        found = [one.language for one in identify(rows, LANGUAGES)]
        assert found.count(language) / len(rows) > 0.95


def test_the_share_is_a_probability_among_the_given_languages():
    text = "Le chat dort sur la table."
    (among_two,), (among_four,) = identify([text], ["en", "fr"]), identify([text], LANGUAGES)
    assert among_two.language == among_four.language == "fr"
    assert 0.5 < among_four.share < among_two.share <= 1


def test_only_the_given_languages_are_named():
    (found,) = identify(["Le chat dort sur la table."], ["de", "en"])
    assert found.language in {"de", "en"}


@pytest.mark.parametrize("text", ["", "  \n"])
def test_a_text_of_nothing_is_in_no_language(text):
    for languages in (LANGUAGES, LANGUAGES[::-1]):
        (found,) = identify([text], languages)
        assert found.language is None
        assert found.share == 0


def test_each_text_is_judged_by_itself_and_in_order():
    texts = ["The old clock in the hall struck seven.", "Die alte Uhr in der Halle schlug sieben."]
    both = identify(texts, LANGUAGES)
    assert [one.language for one in both] == ["en", "de"]
    assert both == [identify([text], LANGUAGES)[0] for text in texts]


def test_unknown_languages_and_no_choice_are_refused():
    with pytest.raises(InputError, match=r"no language \['tlh'\].* en "):
        identify(["nuqneH"], ["en", "tlh"])
    with pytest.raises(InputError, match="at least two"):
        identify(["hello"], ["en", "en"])


def test_the_room_loads_no_torch_and_the_identifier_only_on_use():
    code = "import sys, interp, interp.languages; sys.stdout.write(str({'torch', 'py3langid'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()"
