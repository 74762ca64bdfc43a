"""The checkpoints' promise under faults, power cuts, kills and damage; and the proof that these tests would notice."""

import pytest
from promise import SITUATIONS

QUICK = ["once, no room", "for ever, gone", "lie", "die"]  # the ways in which each operation fails in `make test`


def every_operation(experiment, say, **arguments):
    figures = experiment("faults", **arguments)
    say(f"{sum(figures['operations'].values())} operations in {len(figures['operations'])} situations, {figures['total']} faults "
        f"({', '.join(f'{count} {way}' for way, count in figures['cases'].items())}): {figures['violations']} violations")
    assert not figures["first"]
    assert set(figures["operations"]) == set(SITUATIONS) and min(figures["operations"].values()) > 30
    return figures


def test_whatever_operation_of_a_save_fails_a_resume_finds_the_newest_whole_checkpoint(experiment, say):
    every_operation(experiment, say, ways=QUICK)


@pytest.mark.crash
def test_whatever_operation_of_a_save_fails_in_every_way(experiment, say):
    assert every_operation(experiment, say)["total"] > 2500


def test_whatever_a_power_cut_leaves_a_resume_finds_the_newest_whole_checkpoint(experiment, say):
    figures = experiment("states", limit=2000)
    say(f"power cut at {figures['power_cuts']} instants, every one of {figures['trees']} directory trees that they may leave: "
        f"{figures['violations']} violations")
    assert not figures["first"] and figures["trees"] > 500


def kill(experiment, say, kills, seed):
    figures = experiment("kills", kills=kills, seed=seed)
    say(f"{kills} kill -9, {figures['during']} of them inside a save ({figures['background']} of a Saver), {figures['saves']} "
        f"saves between them, {figures['save_milliseconds']} ms each: {figures['violations']} violations")
    assert not figures["first"]
    assert figures["during"] >= kills / 4


def test_a_kill_at_any_time_loses_nothing_that_was_said_to_be_saved(experiment, say):
    kill(experiment, say, 60, seed=5)


@pytest.mark.crash
def test_two_thousand_kills_lose_nothing_that_was_said_to_be_saved(experiment, say):
    kill(experiment, say, 2000, seed=6)


def damage(experiment, say, flips):
    figures = experiment("damage", flips=flips)
    say(f"{figures['files']} damaged files, {flips} damaged bytes ({figures['detected']} detected, {figures['harmless']} "
        f"harmless): {figures['violations']} violations")
    assert not figures["first"] and figures["detected"] + figures["harmless"] == flips


def test_a_damaged_file_or_byte_is_noticed_and_the_checkpoint_before_is_taken(experiment, say):
    damage(experiment, say, 1000)


@pytest.mark.crash
def test_twenty_thousand_damaged_bytes_never_give_a_wrong_state(experiment, say):
    damage(experiment, say, 20_000)


DROPS, AGAIN, DAMAGED = "a save that drops an older one", "a save of a step that is there", "a save next to a damaged one"


@pytest.mark.parametrize("broken,name,arguments", [
    ("forget_to_force_files", "states", {"situations": [DROPS]}),
    ("forget_to_force_directories", "states", {"situations": [DROPS]}),
    ("rename_before_the_manifest", "states", {"situations": [DROPS]}),
    ("rename_before_the_manifest", "faults", {"situations": [DROPS], "ways": ["die"]}),
    ("write_in_place", "states", {"situations": [DROPS]}),
    ("write_in_place", "faults", {"situations": [DROPS], "ways": ["once, no room"]}),
    pytest.param("write_in_place", "kills", {"kills": 200}, marks=pytest.mark.crash),
    ("delete_the_old_one_first", "faults", {"situations": [AGAIN], "ways": ["die"]}),
    ("delete_the_old_one_first", "states", {"situations": [AGAIN]}),
    ("ignore_the_digest", "damage", {"flips": 300}),
    ("keep_only_the_newest", "states", {"situations": [DAMAGED]}),
    ("count_damaged_ones", "states", {"situations": [DAMAGED]}),
    ("delete_where_it_stands", "states", {"situations": [DROPS]}),
    ("say_nothing_of_a_full_disk", "faults", {"situations": [DROPS], "ways": ["once, no room"]}),
    ("trust_what_was_written", "faults", {"situations": [DROPS], "ways": ["lie"]}),
    ("take_an_error_for_damage", "faults", {"situations": [DROPS], "ways": ["none"]}),
])
def test_the_crash_tests_notice_a_protocol_that_is_broken_on_purpose(experiment, say, broken, name, arguments):
    figures = experiment(name, broken=broken, **arguments)
    say(f"{broken}: {name} finds {figures['violations']} violations, such as {figures['first'][:1]}")
    assert figures["violations"]
