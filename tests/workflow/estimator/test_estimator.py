"""The estimator: scikit-learn's rules, the workflow's figures, and pickles that need no folder."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import check_estimator

import headstart
from conftest import make_images
from headstart import HeadstartClassifier
from headstart.data.sources.tables.rows import read_table
from headstart.errors import DataError, HeadstartError, Interrupted, PlanError, RunError
from headstart.plan.request import OPTIONS, Request
from headstart.workflow.estimator import estimator as module
from headstart.workflow.estimator.estimator import InputError
from headstart.workflow.estimator.inputs import labels_of

QUICK = {"strategy": "feature_extraction", "input_size": 32}
LABEL = {"blue": 10, "green": 2}
"""As text 10 stands before 2, as a number behind it."""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Paths of eight blue and eight green images."""
    return np.array(sorted(str(path) for path in make_images(tmp_path_factory.mktemp("images")).rglob("*.png")))


@pytest.fixture(scope="module")
def colours(images: np.ndarray) -> np.ndarray:
    return np.array([Path(path).parent.name for path in images])


@pytest.fixture(scope="module")
def numbers(colours: np.ndarray) -> np.ndarray:
    return np.array([LABEL[colour] for colour in colours])


@pytest.fixture(scope="module")
def fitted(images: np.ndarray, numbers: np.ndarray) -> HeadstartClassifier:
    made = HeadstartClassifier(**QUICK).fit(images, numbers)
    # The first use of a network in an empty home may run another engine than all later ones: 1e-5 in probabilities.
    headstart.load(made.bundle_).predict_many(list(images))
    return made


PREDICT = """
import pickle, sys
model = pickle.loads(open(sys.argv[1], "rb").read())
answers = model.predict_proba(sys.argv[2:]).tolist()
print(answers, model.classes_.tolist(), model.bundle_.is_dir(), hasattr(model, "run_"))
"""


@pytest.fixture(scope="module")
def other_process(
    fitted: HeadstartClassifier, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen]:
    """Reads a pickle whose folder is gone, and predicts; started early, because a new process imports torch."""
    twin = pickle.loads(pickle.dumps(fitted))
    file, folder = tmp_path_factory.mktemp("pickle") / "model.pickle", twin.bundle_.parent
    file.write_bytes(pickle.dumps(twin))
    assert folder.is_dir()
    del twin
    gc.collect()
    assert not folder.exists(), "the temporary folder goes with the estimator"
    with subprocess.Popen([sys.executable, "-c", PREDICT, file, *images[:2]], stdout=subprocess.PIPE, text=True) as new:
        yield new


# scikit-learn's own checks pass tables of numbers. Those that must fit such a table cannot apply to images; the rest
# must pass. The class below says that it takes tables, or else scikit-learn would run no check at all.
NUMBERS = "trains on a table of random numbers; X are paths of images"
CANNOT_APPLY = dict.fromkeys(
    [
        *("check_fit_score_takes_y", "check_estimators_overwrite_params", "check_dont_overwrite_parameters"),
        *("check_estimators_fit_returns_self", "check_readonly_memmap_input", "check_estimators_dtypes"),
        *("check_dtype_object", "check_pipeline_consistency", "check_estimators_pickle", "check_classifiers_classes"),
        *("check_f_contiguous_array_estimator", "check_classifier_data_not_an_array", "check_classifiers_train"),
        *("check_methods_sample_order_invariance", "check_methods_subset_invariance", "check_dict_unchanged"),
        *("check_fit_idempotent", "check_fit_check_is_fitted", "check_fit2d_1feature", "check_fit2d_predict1d"),
    ],
    NUMBERS,
) | {
    "check_positive_only_tag_during_fit": "trains on negative numbers; paths have no sign",
    "check_n_features_in_after_fitting": "counts columns; a path is one value",
    "check_n_features_in": "counts columns; a path is one value",
    "check_estimators_empty_data_messages": "wants a table without columns named; a path is one value",
    "check_estimators_nan_inf": "wants NaN in a table named; here any table is refused",
    "check_fit2d_1sample": "wants a table of one row named; here any table is refused",
    "check_classifiers_one_label": "trains on one class; the workflow refuses that, there is nothing to tell apart",
    "check_supervised_y_2d": "trains on a table of random numbers; see the test of y as a column",
    **dict.fromkeys(
        [
            *("check_sample_weights_pandas_series", "check_sample_weights_not_an_array", "check_sample_weights_list"),
            *("check_sample_weights_not_overwritten", "check_sample_weight_equivalence_on_dense_data"),
            *("check_classifiers_one_label_sample_weights", "check_class_weight_classifiers"),
            *("check_sample_weights_shape", "check_all_zero_sample_weights_error"),
        ],
        NUMBERS,
    ),
    "check_array_api_input": "trains on a table of random numbers; it is skipped where SCIPY_ARRAY_API is not set",
}


class SaysItTakesTables(HeadstartClassifier):
    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        return tags


def test_every_check_of_scikit_learn_passes_that_can_apply() -> None:
    rows = check_estimator(
        SaysItTakesTables(**QUICK), expected_failed_checks=CANNOT_APPLY, on_skip=None, on_fail="raise"
    )
    passed = {row["check_name"] for row in rows if row["status"] == "passed"}
    assert not passed & set(CANNOT_APPLY), "named above although it passes"
    assert set(CANNOT_APPLY) <= {row["check_name"] for row in rows}, "named above and not there"
    assert len(passed) >= 20


def test_tags_say_what_x_is() -> None:
    tags = get_tags(HeadstartClassifier())
    assert (tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string) == (True, False, True)
    assert tags.classifier_tags.multi_class
    assert tags.target_tags.required
    assert is_classifier(HeadstartClassifier())


def test_every_option_of_train_is_a_parameter_with_the_same_default() -> None:
    options = {field.name: field.default for field in fields(Request) if field.name in OPTIONS}
    signature = inspect.signature(HeadstartClassifier).parameters
    options["random_state"] = options.pop("seed")
    assert {
        name: signature[name].default
        for name in signature
        if name not in ("out", "test_fraction", "bits", "bands", "window", "contrast", "links", "track", "plan")
    } == options


def test_a_tracker_beside_a_run_that_goes_is_refused(images: np.ndarray, colours: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="set `out`, or name a place"):
        HeadstartClassifier(**QUICK, track=["mlflow"]).fit(images, colours)
    fitted = HeadstartClassifier(**QUICK, track=["tensorboard"], out=tmp_path).fit(images, colours)
    assert [path.name[:6] for path in (fitted.run_.folder / "tensorboard").iterdir()] == ["events"]


@pytest.mark.usefixtures("other_process")
def test_answers_have_the_type_and_order_of_the_labels(
    fitted: HeadstartClassifier, images: np.ndarray, numbers: np.ndarray
) -> None:
    assert fitted.classes_.tolist() == [2, 10]
    assert fitted.classes_.dtype == numbers.dtype
    predictor = headstart.load(fitted.bundle_)
    assert predictor.classes == ("10", "2")
    probabilities = fitted.predict_proba(images)
    same = [[p.probabilities["2"], p.probabilities["10"]] for p in predictor.predict_many(list(images))]
    assert np.array_equal(probabilities, same)
    assert np.array_equal(fitted.predict(images), numbers)
    assert fitted.predict(images).dtype == numbers.dtype
    assert fitted.score(images, numbers) == 1.0


@pytest.mark.parametrize(
    "labels",
    [{"blue": "z", "green": "ä;b "}, {"blue": True, "green": False}],
)
def test_labels_of_any_type_come_back_as_they_were(labels: dict, images: np.ndarray, colours: np.ndarray) -> None:
    y = [labels[colour] for colour in colours]
    fitted = HeadstartClassifier(**QUICK).fit([Path(path) for path in images], y)
    assert fitted.classes_.tolist() == sorted(labels.values())
    assert fitted.classes_.dtype == np.asarray(y).dtype
    assert fitted.predict(images).tolist() == y


def test_the_figures_are_those_of_a_run_whose_report_images_were_never_learned_from(
    fitted: HeadstartClassifier, images: np.ndarray
) -> None:
    data = fitted.run_.data().images
    assert (len(data["train"]), len(data["validation"]), len(data["test"])) == (12, 0, 4)
    assert {path for paths in data.values() for path in paths} == {Path(path).as_posix() for path in images}
    assert fitted.metrics_ == fitted.run_.metrics().to_dict()
    assert fitted.metrics_["test"]["images"] == 4
    assert fitted.metrics_["test"]["source"] == "held-out 20% of the images"
    assert fitted.bundle_ == fitted.run_.bundle


def test_groups_stay_on_one_side(images: np.ndarray, colours: np.ndarray) -> None:
    groups = [int(Path(path).stem) % 4 if "blue" in path else None for path in images]
    model = HeadstartClassifier(**QUICK, test_fraction=0.5).fit(images, colours, groups=groups)
    group_of = {path: group for path, group in zip(images, groups, strict=True) if group is not None}
    held = [{group_of[path] for path in paths if path in group_of} for paths in model.run_.data().images.values()]
    assert len(held[0]) == len(held[2]) == 2
    assert set.union(*held) == {0, 1, 2, 3}
    assert model.run_.data().groups == 4 + 8, "images without a name are their own"


def test_the_same_fit_twice_gives_the_same_answers_in_any_order_and_company(
    fitted: HeadstartClassifier, images: np.ndarray, numbers: np.ndarray
) -> None:
    before, known = fitted.predict_proba(images), dict(vars(fitted))
    assert np.array_equal(clone(fitted).fit(images, numbers).predict_proba(images), before)
    order = np.random.default_rng(0).permutation(len(images))
    assert np.allclose(fitted.predict_proba(images[order]), before[order], atol=1e-6)
    alone = np.concatenate([fitted.predict_proba([path]) for path in images[:3]])
    assert np.allclose(alone, before[:3], atol=1e-6)
    assert vars(fitted) == known, "predicting changes nothing"


def test_arguments_are_not_changed_and_a_repeated_path_counts_once(images: np.ndarray, numbers: np.ndarray) -> None:
    x, y = np.concatenate([images, images[:3]]), np.concatenate([numbers, numbers[:3]])
    x.flags.writeable = y.flags.writeable = False
    model = HeadstartClassifier(**QUICK).fit(x, y)
    assert sum(len(paths) for paths in model.run_.data().images.values()) == 16
    assert model.get_params() == HeadstartClassifier(**QUICK).get_params()


@pytest.mark.slow
def test_a_search_over_strategies(images: np.ndarray, numbers: np.ndarray) -> None:
    grid = {"strategy": ["feature_extraction", "probe_then_tune"], "input_size": np.array([32])}
    search = GridSearchCV(
        HeadstartClassifier(random_state=1), grid, cv=StratifiedShuffleSplit(1, random_state=0), error_score="raise"
    ).fit(images, numbers)
    assert search.best_score_ == 1.0
    assert search.best_estimator_.metrics_["strategy"] == search.best_params_["strategy"]
    assert search.predict(list(images[:2])).tolist() == [10, 10]


def test_cross_validation_of_a_pipeline_that_makes_paths_from_where_the_process_stands(
    images: np.ndarray, numbers: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(images[0]).parents[1])
    suffixed = FunctionTransformer(lambda names: [Path(f"{name}.png") for name in names])
    pipeline = Pipeline([("name", suffixed), ("classify", HeadstartClassifier(**QUICK))])
    names = ["/".join(Path(path).with_suffix("").parts[-2:]) for path in images]
    groups = np.arange(16) % 8
    options = {"params": {"classify__groups": groups}, "cv": GroupKFold(2), "error_score": "raise"}
    assert cross_val_score(pipeline, names, numbers, groups=groups, **options).tolist() == [1.0, 1.0]
    assert pipeline.set_params(classify__random_state=3).get_params()["classify__random_state"] == 3


def test_a_pickle_predicts_in_another_process_when_the_folder_is_gone(
    other_process: subprocess.Popen, fitted: HeadstartClassifier, images: np.ndarray
) -> None:
    answer, _ = other_process.communicate(timeout=600)
    assert answer.strip() == f"{fitted.predict_proba(images[:2]).tolist()} [2, 10] True False"


def test_copies_own_their_folders(fitted: HeadstartClassifier, images: np.ndarray) -> None:
    twin = pickle.loads(pickle.dumps(copy.deepcopy(fitted)))
    assert twin.bundle_ != fitted.bundle_
    assert np.array_equal(twin.predict_proba(images), fitted.predict_proba(images))
    assert (twin.metrics_, twin.get_params()) == (fitted.metrics_, fitted.get_params())
    shutil.rmtree(twin.bundle_)
    assert fitted.bundle_.is_dir()
    fresh = pickle.loads(pickle.dumps(HeadstartClassifier(random_state=4)))
    assert (fresh.random_state, hasattr(fresh, "classes_")) == (4, False)


def test_out_keeps_every_fit_apart_and_a_run_there_can_be_resumed(
    images: np.ndarray, numbers: np.ndarray, tmp_path: Path
) -> None:
    model = HeadstartClassifier(**QUICK, out=tmp_path / "deep" / "runs").fit(images, numbers)
    first = model.run_
    second = model.fit(images, numbers).run_
    names = {path.name for path in (tmp_path / "deep" / "runs").iterdir()}
    assert names == {"fit-1", "fit-1.csv", "fit-2", "fit-2.csv"}
    assert (first.folder.name, second.folder.name) == ("fit-1", "fit-2")
    unpickled = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model))))
    assert unpickled.run_.folder == second.folder
    del model
    gc.collect()
    assert headstart.resume(second.folder).metrics.test.accuracy == 1.0


def refused(kind: type[Exception], x: Any, y: Any, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        HeadstartClassifier(**QUICK | options).fit(x, y)
    assert "\n" not in str(caught.value), "one line"
    return str(caught.value)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (np.zeros((3, 4)), "X is numpy.ndarray with shape (3, 4); expected a 1-D sequence of paths"),
        (np.zeros((3, 8, 8, 3)), "X[0] is an array of float64 with shape (8, 8, 3); expected uint8 pixels 0..255"),
        ([np.zeros((8, 8, 3)), "a.png"], "X[0] is an array of float64"),
        ([["a.png"], ["b.png"]], "X is list with shape (2, 1)"),
        ([1.5, 2.5], "X[0] is float 1.5; expected a 1-D sequence of paths"),
        (["a.png", None], "X[1] is NoneType None"),
        ("a.png", "X is str with shape ()"),
        ([], "X is list with 0 paths; expected at least one"),
    ],
)
def test_x_that_are_no_paths_are_refused_by_fit_and_predict(x: Any, words: str, fitted: HeadstartClassifier) -> None:
    assert words in refused(InputError, x, ["a", "b"])
    assert words in refused(ValueError, x, ["a", "b"]), "scikit-learn's rule"
    assert words in refused(DataError, x, ["a", "b"]), "headstart's rule"
    with pytest.raises(InputError) as caught:
        fitted.predict(x)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (None, "requires y to be passed, but the target y is None"),
        (["a", None], "y[1] is None; expected labels of one type"),
        (np.array(["a", 1], object), "y[1] is 1; expected labels of one type"),
        ([0.5, 1.5], "continuous"),
        ([0.0, np.nan], "y contains NaN"),
        ([[0, 1], [1, 0]], "1d array"),
        (["a"], "inconsistent numbers of samples: [2, 1]"),
    ],
)
def test_y_that_are_no_labels_are_refused(y: Any, words: str) -> None:
    assert words in refused(ValueError, ["a.png", "b.png"], y)


def test_images_in_memory_are_learned_and_predicted_like_files(
    fitted: HeadstartClassifier, images: np.ndarray, numbers: np.ndarray, tmp_path: Path
) -> None:
    arrays = np.stack([np.asarray(Image.open(path)) for path in images])
    model = HeadstartClassifier(**QUICK, out=tmp_path).fit(arrays, numbers)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit-1", "fit-1-images", "fit-1.csv"]
    assert model.run_.plan().data.source == str(tmp_path / "fit-1.csv")
    mixed = [images[0], Image.open(images[1]), Path(images[2]).read_bytes(), *arrays[3:]]
    probabilities = model.predict_proba(mixed)
    assert np.allclose(probabilities, model.predict_proba(images), atol=1e-6)
    assert np.allclose(fitted.predict_proba(mixed), fitted.predict_proba(images), atol=1e-6)
    elsewhere = clone(model).set_params(out=None).fit(list(arrays), numbers)
    assert np.array_equal(elsewhere.predict_proba(mixed), probabilities), "the folder decides nothing"


def test_a_fit_that_never_ran_leaves_no_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only one class"):
        HeadstartClassifier(**QUICK, out=tmp_path).fit(np.zeros((3, 9, 9), np.uint8)[[0, 1, 2, 0, 1]], [0] * 5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "column",
    [
        np.array([2, 10], object),
        pandas.array([2, 10], dtype="Int64"),
        pandas.Series([2, 10], dtype="Int64"),
        pandas.Series([2, 10], dtype="category"),
        [np.int64(2), 10],
    ],
)
def test_whole_numbers_are_labels_whatever_holds_them(column: Any) -> None:
    found = labels_of(column)
    assert (found.tolist(), found.dtype.kind) == ([2, 10], "i")


def test_a_missing_label_is_named_and_truth_values_and_text_stay_what_they_are() -> None:
    for missing in (pandas.array([2, None], dtype="Int64"), np.array([2, None], object), np.array([2, True], object)):
        with pytest.raises(ValueError, match=r"y\[1\] is|contains NaN"):
            labels_of(missing)
    assert labels_of(pandas.array([True, False], dtype="boolean")).dtype == bool
    assert labels_of(pandas.Series(["a", "b"], dtype="string")).tolist() == ["a", "b"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What `train` is called with; nothing is trained."""
    seen: list[Any] = []

    def train(request: Any, **options: Any) -> None:
        table = Path(request.data.source)
        seen.append((request, read_table(table, {}).rows, options))
        raise DataError("enough")

    monkeypatch.setattr(module, "train", train)
    return seen


def test_weights_of_images_and_classes_reach_training(
    asked: list[Any], images: np.ndarray, numbers: np.ndarray
) -> None:
    weights = np.arange(16) / 4
    model = HeadstartClassifier(class_weight={2: 3.0, np.int64(10): 1})
    with pytest.raises(DataError, match="enough"):
        model.fit(images, numbers, sample_weight=weights)
    request, rows, _ = asked[0]
    assert request.class_weight == {"2": 3.0, "10": 1}
    assert [row.sample_weight for row in rows] == weights[1:].tolist(), "weight 0 leaves an image out"
    with pytest.raises(DataError, match="enough"):
        HeadstartClassifier(class_weight="balanced").fit(images, numbers)
    assert asked[1][0].class_weight == "balanced"
    assert {row.sample_weight for row in asked[1][1]} == {None}


def test_options_and_random_states_reach_training(asked: list[Any], images: np.ndarray, numbers: np.ndarray) -> None:
    state = np.random.RandomState(0)
    for random_state in (5, np.int64(6), state, state, None, None):
        model = HeadstartClassifier(
            lr=1e-3, optimizer="sgd", weight_decay=0.1, strategy="full", random_state=random_state
        )
        with pytest.raises(DataError, match="enough"):
            model.fit(images, numbers)
    seeds = [request.seed for request, _, _ in asked]
    assert seeds[:2] == [5, 6]
    assert len(set(seeds)) == 6
    request = asked[0][0]
    assert (request.lr, request.optimizer, request.weight_decay) == (1e-3, "sgd", 0.1)
    with pytest.raises(InputError, match="random_state='x' is not valid"):
        HeadstartClassifier(random_state="x").fit(images, numbers)


def test_a_plan_takes_the_place_of_the_other_parameters(
    asked: list[Any], images: np.ndarray, numbers: np.ndarray, tmp_path: Path
) -> None:
    plan = headstart.partial(headstart.Request(headstart.DataPlan(source="photos"), seed=7, epochs=2))
    (tmp_path / "plan.yaml").write_text(plan.to_yaml())
    for given in (plan, tmp_path / "plan.yaml"):
        model = clone(HeadstartClassifier(plan=given, budget_seconds=9))
        with pytest.raises(DataError, match="enough"):
            model.fit(images, numbers)
    for request, rows, options in asked:
        assert request == plan.changed(data=request.data)
        assert (len(rows), options["budget_seconds"]) == (16, 9)
    with pytest.raises(InputError, match="epochs, strategy has no effect together with plan"):
        HeadstartClassifier(plan=plan, epochs=3, strategy="full").fit(images, numbers)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ([1.0, -1.0], r"sample_weight\[1\] is -1; expected a finite number >= 0"),
        ([1.0, np.nan], r"sample_weight\[1\] is nan"),
        ([0, 0], "every sample_weight is 0"),
        ([[1.0], [1.0]], r"sample_weight has shape \(2, 1\)"),
        (["a", "b"], "sample_weight holds no numbers"),
        ([1.0], r"inconsistent numbers of samples"),
    ],
)
def test_weights_that_are_none_are_refused(weights: Any, words: str, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=words):
        HeadstartClassifier().fit(images[[0, 8]], [0, 1], sample_weight=weights)


def test_groups_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[2, 2, 1\]"):
        HeadstartClassifier().fit(["a.png", "b.png"], [0, 1], groups=["p"])


def test_y_as_a_column_is_taken_with_a_warning() -> None:
    with pytest.warns(DataConversionWarning, match="column-vector"):
        assert "2 of 2 paths in X are no files" in refused(DataError, ["a.png", "b.png"], [[0], [1]])


@pytest.mark.parametrize(
    ("pick", "labels", "words"),
    [
        ([0, 1, 2], [0, 0, 0], "only one class to learn ('0', 3 images)"),
        ([0, 1, 8], [0, 0, 1], "class '1' has 1 image"),
        ([0, 1, 8, 8], [0, 0, 1, 0], "several values of label"),
    ],
)
def test_what_the_workflow_refuses_comes_through_unchanged(
    pick: Sequence[int], labels: Sequence[int], words: str, images: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    message = refused(DataError, images[list(pick)], labels, out=out)
    assert words in message
    assert not list(out.iterdir()), "nothing is left of a fit that never ran"


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"strategy": "gradul"}, PlanError, "did you mean gradual"),
        ({"test_fraction": 1.0}, PlanError, "test_fraction"),
        ({"model": "resnet81"}, HeadstartError, "no model"),
        ({"out": __file__}, RunError, "choose another folder"),
    ],
)
def test_wrong_options_are_refused_by_fit(
    options: dict, kind: type[Exception], words: str, images: np.ndarray, numbers: np.ndarray
) -> None:
    assert words in refused(kind, images, numbers, **options)


def test_files_that_are_missing_folders_or_broken_are_named(fitted: HeadstartClassifier, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    there = fitted.run_.folder.with_suffix(".csv")
    for paths, first in (([there, tmp_path / "a.png"], "a.png"), ([there, tmp_path, "x" * 300], tmp_path.name)):
        for use in (fitted.predict, lambda x: clone(fitted).fit(x, range(len(x)))):
            with pytest.raises(
                DataError, match=rf"of {len(paths)} paths in X are no files \(first: X\[1\], \S+{first}"
            ):
                use(paths)
    with pytest.raises(DataError, match=r"broken\.png cannot be read"):
        fitted.predict([tmp_path / "broken.png"])
    with pytest.raises(DataError, match="not valid UTF-8"):
        HeadstartClassifier().fit([there, there], ["a\udc80", "b"])


def test_predicting_comes_after_fitting() -> None:
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(HeadstartClassifier(), method)(["a.png"])


@pytest.mark.parametrize(("kept", "words"), [(True, "go on with: x"), (False, "without `out` nothing is saved")])
def test_ctrl_c_is_no_error_that_a_search_may_swallow(
    kept: bool, words: str, images: np.ndarray, numbers: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise Interrupted("stopped; everything is saved", remedy="go on with: x")

    monkeypatch.setattr(module, "train", interrupted)
    with pytest.raises(KeyboardInterrupt, match=words):
        HeadstartClassifier(**QUICK, out=tmp_path if kept else None).fit(images, numbers)


LIGHT = """
import sys, headstart
assert not {"sklearn", "torch"} & set(sys.modules)
sys.modules["sklearn"] = None  # as if it were not installed
try:
    headstart.HeadstartClassifier
except headstart.HeadstartError as error:
    print(error)
"""


def test_headstart_needs_scikit_learn_only_for_the_estimator() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == 'sklearn is not installed; pip install "headstart[train]"'
