import pytest
import torch
from torch.optim import lr_scheduler

from regulome.recipes.schema import TrainingSection
from regulome.training.schedule import Schedule

PER_EPOCH, EPOCHS, PEAK = 7, 9, 0.3


def ours(**settings):
    training = TrainingSection(learning_rate=PEAK, epochs=EPOCHS, **settings)
    schedule = Schedule(training, PER_EPOCH)
    return [schedule.rate(step, samples=step * 4) for step in range(PER_EPOCH * EPOCHS)]


def theirs(make, each_epoch):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = make(optimizer)
    rates = []
    for step in range(PER_EPOCH * EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < PER_EPOCH * EPOCHS - 1 and (not each_epoch or (step + 1) % PER_EPOCH == 0):
            scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("settings", "make", "each_epoch"),
    [
        ({"schedule": "constant"}, lambda o: lr_scheduler.ConstantLR(o, factor=1.0), True),
        (
            {"schedule": "step", "schedule_factor": 0.5, "schedule_epochs": 2},
            lambda o: lr_scheduler.StepLR(o, 2, 0.5),
            True,
        ),
        ({"schedule": "exponential", "schedule_factor": 0.9}, lambda o: lr_scheduler.ExponentialLR(o, 0.9), True),
        ({"schedule": "cosine"}, lambda o: lr_scheduler.CosineAnnealingLR(o, PER_EPOCH * EPOCHS), False),
        (
            {"schedule": "one-cycle"},
            lambda o: lr_scheduler.OneCycleLR(o, PEAK, PER_EPOCH * EPOCHS, cycle_momentum=False),
            False,
        ),
    ],
)
def test_plans_equal_torchs(settings, make, each_epoch):
    assert ours(**settings) == pytest.approx(theirs(make, each_epoch), rel=1e-9)


def test_inverse_is_torch7s_decay_per_sample():
    rates = ours(schedule="inverse", schedule_factor=1e-2)
    assert rates[10] == pytest.approx(PEAK / (1 + 40 * 1e-2))


def test_plateau_equals_torchs_and_resumes():
    plan = {"schedule": "plateau", "schedule_factor": 0.5, "schedule_epochs": 1, "schedule_minimum": 0.2 * PEAK}
    training = TrainingSection(learning_rate=PEAK, **plan)
    losses = [5, 4, 4, 4, 3, 3, 3, 3, 3, 2, 2, 2, 2]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, threshold=0, min_lr=0.2 * PEAK)
    schedule = Schedule(training, PER_EPOCH)
    for loss in losses:
        scheduler.step(loss)
        schedule.end_epoch(loss)
        resumed = Schedule(training, PER_EPOCH)
        resumed.load_state_dict(schedule.state_dict())
        schedule = resumed
        assert schedule.rate(0, 0) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert schedule.rate(0, 0) == pytest.approx(0.2 * PEAK)


@pytest.mark.parametrize("epochs", [1, 2])
def test_one_cycle_of_very_few_steps_stays_within_its_bounds(epochs):
    schedule = Schedule(TrainingSection(learning_rate=1.0, epochs=epochs), 1)
    assert all(0 < schedule.rate(step, step) <= 1 for step in range(epochs))
