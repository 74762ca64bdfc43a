import argparse
from dataclasses import fields

import pytest

from r2f import config
from r2f.config import PRESETS, Config, ConfigError


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    return vars(parser.parse_args(arguments))


def test_every_setting_is_an_option_under_its_own_name_with_a_sentence_of_help():
    parser = argparse.ArgumentParser()
    config.add_arguments(parser)
    help_text = parser.format_help()
    for each in fields(Config):
        assert "--" + each.name.replace("_", "-") in help_text
        assert each.metadata["text"]


def test_the_help_shows_what_is_taken_where_nothing_is_said():
    parser, taken = argparse.ArgumentParser(), config.preset("r2f")
    config.add_arguments(parser)
    said = {action.dest: action.help for action in parser._actions}
    assert "(default r2f," in said["preset"]
    for name in ("cycle_weight", "light_weight", "norm", "cycle_shift", "filters", "steps"):
        assert f"(default {getattr(taken, name)})" in said[name]
    assert taken.cycle_weight != Config().cycle_weight, "else this shows nothing"


def test_only_options_that_were_given_replace_the_preset():
    settings = config.preset("lite", **parsed("--filters", "16", "--no-flip"))
    assert (settings.filters, settings.flip, settings.blocks) == (16, False, PRESETS["lite"]["blocks"])


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_valid_and_survives_json(name):
    settings = config.preset(name)
    assert config.from_json(settings.to_json()) == settings


@pytest.mark.parametrize("wrong", [
    {"image_size": 30}, {"load_size": 100}, {"steps": 0}, {"averaging": 1.0}, {"augment": "fog"}, {"precision": "float8"},
    {"residual": "multiply"}, {"pool_size": 1, "batch_size": 2}, {"decay_from": 2.0}, {"seed": -1}, {"evaluate_count": 7},
    {"checkpoint_minutes": float("nan")}, {"checkpoint_minutes": -1.0}, {"evaluate_steps": -3}, {"pool_size": -5},
    {"beta_1": 1.0}, {"learning_rate": float("inf")}, {"learning_rate": 0}, {"cycle_weight": -10.0}])
def test_a_bad_value_is_named_with_its_remedy(wrong):
    with pytest.raises(ConfigError) as caught:
        Config(**wrong)
    assert list(wrong)[0] in str(caught.value)
    assert str(list(wrong.values())[0]).strip("'") in str(caught.value)


def test_prefixes_that_are_no_text_are_refused():
    with pytest.raises(ConfigError, match=r"prefixes is 'caf\\udce9'; it must be UTF-8"):
        Config(prefixes="caf\udce9")


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(ConfigError, match="r2f, lite, paper, seed"):
        config.preset("large")


def test_resuming_refuses_a_structural_difference_and_reports_the_others():
    stored = config.preset("lite")
    with pytest.raises(ConfigError, match="filters 16, not 48"):
        config.resumed(stored, {"filters": 48})
    settings, changes = config.resumed(stored, {"cycle_weight": 8.0})
    assert settings.cycle_weight == 8.0
    assert changes == ["cycle_weight changed from 5.0 to 8.0"]


@pytest.mark.parametrize("named", [
    ("--drawn", "--data=d"), ("--data=d", "--rime=r", "--flowers=f"), ("--data=d", "--rime-test=t"),
    ("--drawn", "--flowers-test=t"), ("--drawn", "--data=d", "--rime=r")])
def test_pictures_are_named_in_one_way(named):
    for refused in (lambda: config.preset("lite", **parsed(*named)), lambda: config.resumed(Config(), parsed(*named))):
        with pytest.raises(ConfigError, match="^Pictures were named in more than one way, by ") as caught:
            refused()
        said = str(caught.value).partition(";")[0]
        assert all(each.partition("=")[0] in said for each in named)


def pictures(settings):
    """What it is told of pictures."""
    return {name: getattr(settings, name) for names in config.SOURCES for name in names if getattr(settings, name)}


@pytest.mark.parametrize("before,named,after", [
    (dict(data="d"), dict(rime="r", flowers="f"), dict(rime="r", flowers="f")),
    (dict(data="d"), dict(drawn=True), dict(drawn=True)),
    (dict(drawn=True), dict(data="d"), dict(data="d")),
    (dict(rime="r", flowers="f", rime_test="t"), dict(data="d"), dict(data="d")),
    (dict(rime="r", flowers="f"), dict(rime="s", rime_test="t"), dict(rime="s", flowers="f", rime_test="t")),
    (dict(rime="r", flowers="f"), dict(flowers_test="t"), dict(rime="r", flowers="f", flowers_test="t"))])
def test_pictures_named_anew_take_the_place_of_all_others(before, named, after):
    settings, changes = config.resumed(Config(**before), named)
    assert pictures(settings) == after
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert {line.partition(" ")[0] for line in changes} == changed
    assert all("  " not in line and line == line.strip() for line in changes)


def test_held_out_pictures_alone_are_refused_beside_a_data_set_also_later():
    with pytest.raises(ConfigError, match="more than one way, by --data and --rime-test;"):
        config.resumed(Config(data="d"), dict(rime_test="t"))


def test_a_run_from_before_there_had_to_be_one_way_goes_on_as_it_was():
    stored = Config(drawn=True, data="d", rime="r", flowers="f", rime_test="t")
    assert config.resumed(config.from_json(stored.to_json()), {}) == (stored, [])
    assert config.source_of(stored) == ("drawn",)
    assert pictures(config.resumed(stored, dict(data="e"))[0]) == dict(data="e")


def test_what_differs_from_the_preset_is_known_without_the_folders():
    assert config.preset("lite", steps=10, rime="somewhere", run="runs/x").changed == {"steps": 10}


def test_a_config_file_of_another_version_is_refused_by_name():
    with pytest.raises(ConfigError, match="warp_factor"):
        config.from_json('{"warp_factor": 9}')
