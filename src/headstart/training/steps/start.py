"""Start of a cross-fitted phase: folds of the training images, and the network that each begins with."""

from __future__ import annotations

from headstart.data.splits import deal_folds
from headstart.engine.store.training_images import TrainingImages
from headstart.networks.groups.layers import named_tensors
from headstart.plan.plan import TrainPhase
from headstart.training.checkpoint import Candidate
from headstart.training.learning_rates.param_groups import Entered, enter
from headstart.training.probe.probe import write_head
from headstart.training.steps.cross_fit import CrossFit, FoldWeights, tensors_of, write_tensors
from headstart.training.training import Training
from headstart.training.tuning_start import start_heads


def is_cross_fitted(phase: TrainPhase, images: TrainingImages) -> bool:
    """Whether the phase trains one network a fold: it has folds, and no validation images were held out."""
    return phase.folds > 1 and not images.roles.validation


def cross_fit_of(training: Training, phase: TrainPhase, entered: Entered) -> CrossFit:
    """The networks of a phase, as they begin or as the last checkpoint left them.

    Where the candidate that the phase starts from was cross-fitted, each network goes on from that of its fold: it has
    not seen the images that will validate it. From the linear probe, each starts with a head that was fitted without
    its fold.

    Args:
        training: Its classifier holds what the phase starts from, and afterwards the network of some fold.
        phase: Resolved.
        entered: The phase with trainable parameters set.
    """
    classifier, images = training.torch_classifier(), training.images
    fold_of = deal_folds(images.roles.train, dict(images.groups), most=phase.folds, seed=training.plan.seed + 2)
    frozen = entered.frozen()
    names = frozenset(name for name, _ in named_tensors(classifier.network) if name not in frozen)
    optimizers = [enter(classifier, phase, training.plan.optimizer).optimizer for _ in range(max(fold_of) + 1)]
    cross_fit = CrossFit(classifier, names, fold_of, optimizers)
    if training.state.folds:  # the phase had begun in another process
        cross_fit.take_up(training.state.folds)
        return cross_fit
    before = training.state.step
    if before is not None and len(before.folds) == len(optimizers):
        cross_fit.weights = _from_candidate(cross_fit, before)
    else:
        cross_fit.weights = _from_probe(training, phase, cross_fit)
    return cross_fit


def _from_candidate(cross_fit: CrossFit, before: Candidate) -> list[FoldWeights]:
    weights = []
    for fold in cross_fit.folds:
        write_tensors(cross_fit.classifier, before.folds[fold])
        weights.append(tensors_of(cross_fit.classifier, cross_fit.names))
    return weights


def _from_probe(training: Training, phase: TrainPhase, cross_fit: CrossFit) -> list[FoldWeights]:
    if training.progress.l2_penalty is None:  # no probe: all start alike
        return [tensors_of(cross_fit.classifier, cross_fit.names) for _ in cross_fit.folds]
    parts = [cross_fit.training_rows(fold) for fold in cross_fit.folds]
    heads = start_heads(training.plan, phase, training.source, parts, l2_penalty=training.progress.l2_penalty)
    weights = []
    for head in heads:
        write_head(cross_fit.classifier, head)
        weights.append(tensors_of(cross_fit.classifier, cross_fit.names))
    return weights
