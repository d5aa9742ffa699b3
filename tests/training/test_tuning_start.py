"""The head that tuning starts from knows augmented views too, whichever way features come, and a resume repeats it."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from conftest import Prepared, make_images
from headstart.data.preprocess import unscale
from headstart.data.sources.reading import WHOLE, ImageRecord
from headstart.engine.prefix.inference import features_of
from headstart.engine.store.activations import plain_view
from headstart.engine.store.store import ActivationStore
from headstart.input_spec import Decoding
from headstart.networks.groups.layers import copy_of, restore
from headstart.plan.plan import ProbePhase, TrainPhase
from headstart.runs.event import Event
from headstart.runs.observers import Observer
from headstart.training.activation_source import ActivationSource
from headstart.training.checkpoint import TrainingProgress
from headstart.training.tuning_start import FIRST_VIEW, _view, start_head

L2_PENALTY = 0.1


class Noted(Observer):
    def __init__(self) -> None:
        self.events: list[tuple[str, dict]] = []

    def noted(self, event: Event) -> None:
        self.events.append((event.event, event.to_dict()))


class Task:
    """A plan with its images, and one network that every start begins from as it was."""

    def __init__(self, folder: Path) -> None:
        prepared = Prepared(make_images(folder / "images", per_class=5), folder / "run", strategy="full", epochs=1)
        self.plan, self.images, self.classifier = prepared.plan, prepared.images, prepared.classifier()
        self.before = copy_of(self.classifier.network)
        self.phase = next(one for one in self.plan.phases if isinstance(one, TrainPhase))

    def start(self, progress: TrainingProgress | None = None, *, views: int = 1) -> list[tuple[str, dict]]:
        """Start a head; what was noted."""
        restore(self.classifier.network, self.before)
        noted, phase = Noted(), self.phase.model_copy(update={"head_refit_views": views})
        source = ActivationSource(self.classifier, self.images, observer=noted)
        start_head(self.plan, phase, progress or TrainingProgress(l2_penalty=L2_PENALTY), source)
        return noted.events

    def head(self) -> torch.Tensor:
        return self.classifier.linear_weight().clone()


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return Task(tmp_path_factory.mktemp("tuning_start"))


def test_the_head_is_that_of_plain_and_augmented_views_together(task: Task):
    """The reference: scikit-learn's logistic regression on standardised features of both views."""
    fit, spec = task.images.roles.train, task.images.spec
    ((event, values),) = task.start()
    assert (event, values) == ("head_fitted_on_views", {"phase": "tune", "views": 1, "images": len(fit)})
    changed = {name for name, tensor in copy_of(task.classifier.network).items() if not tensor.equal(task.before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    weight = task.head().double().numpy()
    views = [plain_view(spec), _view(task.plan, task.images, FIRST_VIEW)]
    rows = [features_of(task.classifier, fit, spec, view=view.prepare) for view in views]
    assert not np.allclose(rows[0], rows[1]), "the second view is augmented"
    features, labels = np.concatenate(rows).astype(np.float64), np.tile(task.images.labels(fit), 2)
    z = StandardScaler().fit_transform(features)
    # two columns of a softmax at half the weights say what one column says, at half of its penalty
    reference = LogisticRegression(C=2 / (len(labels) * L2_PENALTY), tol=1e-8, max_iter=5000).fit(z, labels)
    found = features @ (weight[1] - weight[0])
    expected = z @ reference.coef_[0]
    assert found - found.mean() == pytest.approx(expected - expected.mean(), abs=0.02)


def test_more_views_give_another_head_and_the_same_ones_the_same(task: Task):
    heads = []
    for views in (1, 1, 2):
        task.start(views=views)
        heads.append(task.head())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_the_head_stays_where_there_is_nothing_to_start(task: Task):
    begun = [TrainingProgress(l2_penalty=L2_PENALTY, **where) for where in ({"epoch": 1}, {"step": 3})]
    inside = (*begun, TrainingProgress())
    for progress, views in ((TrainingProgress(l2_penalty=L2_PENALTY), 0), *((one, 1) for one in inside)):
        assert task.start(progress, views=views) == []
        assert all(tensor.equal(task.before[name]) for name, tensor in copy_of(task.classifier.network).items())


def test_a_store_gives_the_same_head_and_keeps_the_views(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digests = {record.id: record.id.encode()[-16:].rjust(16) for record in task.images.roles.training_pool}
    images, features = replace(task.images, digests=digests, precision="float32"), []
    for store in (None, ActivationStore(tmp_path / "store"), ActivationStore(tmp_path / "store")):
        monkeypatch.setattr(task, "images", replace(images, store=store))
        task.start()
        plain = features_of(task.classifier, images.roles.train, images.spec)
        features.append(plain @ task.head().numpy().T)
    for stored in features[1:]:
        assert stored == pytest.approx(features[0], abs=0.02)
    assert np.array_equal(features[1], features[2]), "read back"


def test_a_ridge_head_starts_as_a_ridge_head(task: Task, monkeypatch: pytest.MonkeyPatch):
    task.start()
    logistic = task.head()
    phases = (ProbePhase(solver="ridge"), *task.plan.phases[1:])
    monkeypatch.setattr(task, "plan", task.plan.model_copy(update={"phases": phases}))
    assert [event for event, _ in task.start()] == ["head_fitted_on_views"]
    assert torch.isfinite(task.head()).all()
    assert not torch.allclose(task.head(), logistic)


def test_augmented_views_of_deep_grey_images_use_the_bits_that_the_plan_names(task: Task):
    """2048 is the middle of 12 bits, and nearly black of 16."""
    buffer = io.BytesIO()
    Image.fromarray(np.full((40, 40), 2048, np.uint16)).save(buffer, "PNG")
    record = ImageRecord("blue/deep.png", "blue", WHOLE, content=buffer.getvalue())
    images = replace(task.images, spec=replace(task.images.spec, decoding=Decoding(bits=12)))
    view = _view(task.plan, images, FIRST_VIEW).prepare(record)
    assert unscale(view, images.spec).mean() > 100
