"""Name of what augmented views are drawn from: whatever may change a view changes it."""

from __future__ import annotations

import pytest

from headstart.engine.store import drawn_views
from headstart.engine.store.drawn_views import views_drawn_from
from headstart.plan.sections import AugmentationPlan


def test_it_tells_presets_flips_and_versions_apart(monkeypatch: pytest.MonkeyPatch):
    plans = [AugmentationPlan(preset=preset, flip=flip) for preset in ("light", "strong") for flip in ("none", "all")]
    names = [views_drawn_from(plan) for plan in plans]
    monkeypatch.setattr(drawn_views, "AUGMENT_VERSION", drawn_views.AUGMENT_VERSION + 1)
    names += [views_drawn_from(plan) for plan in plans]
    monkeypatch.setattr(drawn_views.metadata, "version", lambda library: "0.0")
    names += [views_drawn_from(plan) for plan in plans]
    assert len(set(names)) == len(names)


def test_it_does_not_depend_on_what_changes_no_cached_view():
    assert views_drawn_from(AugmentationPlan(mixup_alpha=0.4, cutmix_alpha=1)) == views_drawn_from(AugmentationPlan())
