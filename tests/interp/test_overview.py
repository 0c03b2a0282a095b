import pytest

from interp.errors import PromptError
from interp.models import load_model
from interp.models.compiled import compiled_prompts
from interp.overview import default_prompts, first_look, load_controls, reads_sentences
from interp.report import write_report


@pytest.fixture(scope="module")
def copier():
    return load_model("compiled:copy")


def look_at(model, prompts):
    control = next(load_controls("compiled:copy", 1))
    return first_look(model, control, load_controls("compiled:copy", 2), prompts)


def test_a_model_that_reads_no_sentences_gets_a_report_that_says_what_was_left_out(copier, tmp_path):
    assert not reads_sentences(copier)
    look = look_at(copier, compiled_prompts("copy", 6))
    assert [result.kind for result in look.results] == ["attention_patterns", "head_scores", *["patch_sweep"] * 3]
    words = {section.title: section.words for section in look.report.sections}
    assert "Not swept, because this model does not have it: mlp_out" in words["Which activations carry the answer?"]
    assert "No probe was run" in words["What can be read off it?"]
    page = write_report(look.report, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No probe was run" in page


def test_every_result_of_a_first_look_stands_beside_its_control(copier):
    assert all(result.has_control for result in look_at(copier, compiled_prompts("copy", 3)).results)


def test_prompts_that_do_not_fit_are_refused_before_anything_is_measured():
    model = load_model("zoo:modular")
    told = []
    with pytest.raises(PromptError, match="context of 3"):
        first_look(model, model, [], default_prompts(model), progress=told.append)
    assert told == []


def test_controls_are_different_models_and_not_the_one_under_study():
    from interp.models import facts

    names = [facts(model).fingerprint for model in load_controls("zoo:sink-softmax-0", 3)]
    names.append(facts(load_model("random:zoo:sink-softmax-0")).fingerprint)
    assert len(set(names)) == 4
