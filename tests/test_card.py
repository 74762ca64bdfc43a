import pytest

from r2f.card import model_card

# Written here rather than read from a shipped pair, whose figures change with every better one.
INFO = {"networks": {"filters": 24, "blocks": 6}, "image_size": 128, "preset": "lite", "step": 7000,
        "pictures": {"rime": 1039, "flowers": 294}, "changed": {"identity_weight": 0.0}}


def test_a_card_says_what_the_pair_is_what_it_learned_from_and_how_to_use_it():
    card = model_card(INFO, "spring-step-7000")
    assert card.startswith("---\npipeline_tag: image-to-image\n") and card.count("\n---\n") == 1
    for words in ("# spring-step-7000\n", "24 filters and 6 blocks, after 7,000 steps, at 128 pixels, preset `lite`.",
                  "1,039 photos of rime and 294 flower paintings.", "- `identity_weight`: 0.0", "--pair spring-step-7000\n",
                  "licence"):
        assert words in card, words
    assert "Figures" not in card
    assert model_card(INFO, "my first run").count("--pair 'my first run'\n") == 2
    assert "after a last lesson of 7,000 steps, at 128" in model_card({**INFO, "pupil": True}, "a")


def test_figures_that_the_training_measured_are_a_table():
    card = model_card({**INFO, "quality": {"step": 7000, "score": 0.123456, "held_out": {"rime": 3}, "kept": True}}, "a")
    assert "| score | 0.1235 |" in card and "held_out" not in card and "kept" not in card and "| step" not in card


@pytest.mark.parametrize("quality", [None, 3, [], {"score": "x"}])
@pytest.mark.parametrize("pictures", [None, 3, {"rime": "many", "flowers": 2}])
def test_what_is_missing_or_of_another_kind_is_left_out(quality, pictures):
    info = {"networks": INFO["networks"], "quality": quality, "pictures": pictures, "step": "7", "changed": 3, "preset": None}
    card = model_card(info, "a")
    assert "is not recorded" in card and "Figures" not in card and "steps" not in card.partition("##")[0]


def test_nothing_that_a_file_says_becomes_markup():
    card = model_card({**INFO, "preset": "`](x)<script>", "changed": {"prefixes": "a\n# b|c"}}, "a")
    assert "<" not in card and "`](x)" not in card and "\n# b" not in card
