"""One event of every kind that a run can note, with values as training gives them."""

from __future__ import annotations

from headstart.runs.event import Event
from headstart.runs.events import (
    ActivationsCached,
    ChannelsSelected,
    CheckpointSelected,
    Computing,
    EngineNoted,
    HeadFittedOnViews,
    HeadSelected,
    NotCached,
    PenaltySampled,
    PrefixComputed,
    PrefixPlanned,
    Resumed,
    RunStopped,
    Stopping,
    Tracking,
    WeightsLoaded,
)
from headstart.runs.training_events import (
    EpochDone,
    EstimatedPhase,
    LearningRatesFound,
    PhaseDone,
    PhaseStarted,
    RangeTest,
    RuntimeEstimate,
    StepDone,
)
from headstart.runs.warnings import (
    AdviceWarning,
    BelowProbe,
    DataFinding,
    Diverged,
    GroupsUnchanged,
    JitterWithoutEffect,
    LatencyNotMeasured,
    OptionWithoutEffect,
    RandomWeights,
    TrackerStopped,
)

ESTIMATE = RuntimeEstimate(
    elapsed_seconds=6.0,
    phases=(
        EstimatedPhase("probe", 6.1, 0.0, 5.0, 0, None, 0),
        EstimatedPhase("tune", 130.0, 0.0, 40.0, 10, 9.0, 0, "cached", "stage7", 1),
        EstimatedPhase("end", 3.2, 0.0, 0.0, 0, None, 0),
    ),
    total_seconds=145.3,
    without_tuning_seconds=None,
    previous_total_seconds=None,
    stored_bytes=120_000_000,
    memory_bytes=1_200_000_000,
    speeds="measured",
    low_seconds=None,
    high_seconds=None,
    past_runs=0,
    budget=None,
)

RATES_FOUND = LearningRatesFound(
    phase="tune",
    planned={"stem": 1e-6, "layer4": 5e-5, "head": 1e-3},
    lr={"stem": 2e-6, "layer4": 1e-4, "head": 4e-4},
    schedule="cosine",
    tests=(
        RangeTest("head", ("head",), ((0.1, 0.7, 0.8, None),), 0.4, "a fifth"),
        RangeTest("backbone", ("stem", "layer4"), (), 2.0, "a fifth"),
    ),
    steps=20,
    seconds=12.0,
)

EVERY_EVENT: tuple[Event, ...] = (
    PhaseStarted(0, "probe", "linear_probe"),
    PhaseStarted(1, "tune", "train", 3),
    EpochDone("tune", 1, 0.5, 0.25, 0.75, {"stem": 1e-4, "head": 1e-3}, improved=True, seconds=2.0),
    PhaseDone("tune", "train", ("head",), {"head": 1e-3}, "train", "cosine", 3, 0.75, 6.0, "all epochs done"),
    StepDone("last_stages", "last_stages", "probe", 0.2, 0.3, 0.93, 0.9, 0.004, selected=True, images=600),
    Resumed(1, 2),
    RunStopped("budget"),
    Stopping("stopping after the current step"),
    CheckpointSelected("tune/1", "best of the epochs"),
    HeadSelected("probe", "linear", "multi_depth does not beat it"),
    ChannelsSelected("learned", "it has the lowest log loss"),
    HeadFittedOnViews("tune", 2, 40),
    Computing("the head on all depths", 3, 4),
    PenaltySampled("probe", 8, 40),
    EngineNoted("this network is run as it is"),
    PrefixComputed("onnxruntime"),
    PrefixPlanned("tune", "cached", "stage7", 4, "it takes less time"),
    ActivationsCached("tune", "stage7", 4, "onnxruntime"),
    NotCached("stage7", "no room"),
    WeightsLoaded("w.pth", 312, "missing", ("a", "b", "c", "d"), ()),
    Tracking("tensorboard", "runs/a/tensorboard"),
    DataFinding("warning", "overconfidence", "the mean confidence is 0.99", "calibrate", (("a.png", "b.png"),)),
    AdviceWarning("the domain is unknown"),
    OptionWithoutEffect("batch_size", "feature_extraction"),
    JitterWithoutEffect("tune", 0.3),
    GroupsUnchanged("tune", 2, ("stem", "stage1"), {"stem": 1e-12, "stage1": 1e-10}),
    BelowProbe("tune", 1, 0.4, 0.9, 0.001, {"stem": 1e-3, "head": 0.03}, "held-out 20% of train"),
    Diverged("tune", 3),
    TrackerStopped("mlflow", "http://host", "OSError: away"),
    RandomWeights("no network"),
    LatencyNotMeasured("tf_efficientnet_lite0", "it is not stable"),
    RATES_FOUND,
    ESTIMATE,
)
