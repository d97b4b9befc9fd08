"""How long the phases of a run took, as the last line of its log says it."""

from __future__ import annotations

from typing import Any

from support.listeners import Heard

from featherweight.workflows.phases import EVALUATION, LOADING, REPORT, TRAINING, Phases


def test_each_phase_has_its_own_seconds_and_evaluations_are_no_part_of_the_training() -> None:
    now = 100.0
    phases = Phases(lambda: now)
    phases.begin(LOADING)
    now += 9
    phases.begin(TRAINING)
    now += 30
    phases.evaluated({"seconds": 4.0}, True)
    now += 31
    phases.evaluated({"seconds": 6.0}, False)
    phases.begin(EVALUATION)
    now += 2
    phases.begin(REPORT)
    now += 5
    assert phases.in_words() == "took 77 s: loading 9 s, training 51 s, evaluation 12 s, report 5 s"
    assert phases.total() == 77
    now += 100
    assert phases.in_words() == "took 3 min: loading 9 s, training 51 s, evaluation 12 s, report 2 min"


def test_a_run_says_what_its_phases_took(tiny_recipe: Any, tmp_path: Any, in_this_process: None) -> None:
    from featherweight.workflows.train import train

    heard = Heard()
    train(tiny_recipe(training={"max_steps": 2}), tmp_path / "run", listeners=[heard])
    assert heard.notes[-1].startswith("took ")
    for phase in ("loading", "training", "evaluation", "saving and reload check", "report"):
        assert f" {phase} " in heard.notes[-1]
