"""The mean teacher: the student comes to say what the teacher says."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from config.errors import UsageError
from ml.inference import Precision
from ml.training.datasets import Splits
from ml.training.distributed import ALONE
from ml.training.recipes import Consistency, Recipe
from ml.training.step import Batch, Stepper, batch_maker
from ml.training.teacher import consistency_loss, consistency_weight, divide
from ml.training.train import begin, fit

CPU = torch.device("cpu")
TAUGHT = Consistency(weight=100.0, ramp_up_steps=1, batch_size=4, num_labelled=2)


def test_who_says_the_same_loses_nothing_and_only_the_student_learns() -> None:
    teacher = torch.randn(2, 6, 4, 4, requires_grad=True)
    student = torch.randn(2, 6, 4, 4, requires_grad=True)
    assert consistency_loss(teacher + 1, teacher).item() == pytest.approx(0, abs=1e-10)
    consistency_loss(student, teacher).backward()
    assert teacher.grad is None
    assert student.grad is not None


def test_the_weight_rises_to_its_full_value() -> None:
    rising = Consistency(weight=2.0, ramp_up_steps=100)
    weights = [consistency_weight(rising, step) for step in range(120)]
    assert weights[:101] == sorted(weights[:101])
    assert weights[0] == pytest.approx(2 * 0.0067, rel=0.01)
    assert weights[100:] == [2.0] * 20


def test_labels_beyond_the_first_are_not_looked_at(splits: Splits) -> None:
    unseen = replace(splits, unlabelled=(splits.test[1],))
    labelled, unlabelled = divide(unseen, TAUGHT)
    assert [case.seed for case in labelled] == [0, 1]
    assert [case.seed for case in unlabelled] == [2, 6]
    assert divide(unseen, None) == (splits.train, ())


def test_a_teacher_without_unlabelled_patients_is_refused(splits: Splits) -> None:
    with pytest.raises(UsageError, match="there are 3 and 0"):
        divide(splits, Consistency(num_labelled=0))


def test_on_unlabelled_slices_the_student_comes_nearer_to_the_teacher(
    recipe: Recipe, splits: Splits
) -> None:
    def distance_after(consistency: Consistency) -> float:
        taught = replace(recipe, consistency=consistency, average_decay=1.0, learning_rate=1e-3)
        state = begin(taught, CPU, None)
        with torch.no_grad():  # a student that has gone astray
            for name, parameter in state.model.named_parameters():
                if name.startswith("classifier"):
                    parameter.add_(torch.randn_like(parameter) * 0.5)
        labelled, unlabelled = divide(splits, consistency)
        take_step = Stepper(taught, state, device=CPU, precision=Precision.FP32, team=ALONE)
        draw = batch_maker(labelled, unlabelled, taught, ALONE)
        state.step = 10_000  # the average has stopped to follow quickly
        batch = draw(0)
        for _ in range(30):
            take_step(batch, 1e-3)
        return distance(state.model, state.average, batch)

    @torch.no_grad()
    def distance(model: torch.nn.Module, average: torch.nn.Module, batch: Batch) -> float:
        assert batch.for_student is not None
        assert batch.for_teacher is not None
        logits = model(torch.cat((batch.images, batch.for_student)))[len(batch.images) :]
        return float(consistency_loss(logits, average(batch.for_teacher)))

    assert distance_after(TAUGHT) < 0.5 * distance_after(replace(TAUGHT, weight=0.0))


def test_a_training_with_a_teacher_goes_on_like_any_other(
    recipe: Recipe, splits: Splits, tmp_path: Path
) -> None:
    taught = replace(recipe, consistency=TAUGHT)
    model = fit(taught, splits, tmp_path / "one", device=CPU)
    again = fit(taught, splits, tmp_path / "two", device=CPU)
    plain = fit(recipe, splits, tmp_path / "plain", device=CPU)
    name, tensor = next(iter(model.state_dict().items()))
    assert tensor.equal(again.state_dict()[name])
    assert not tensor.equal(plain.state_dict()[name])
