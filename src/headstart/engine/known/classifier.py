"""A classifier of a known network: features by ONNX Runtime or from the store, a head in numpy, torch on demand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from headstart.arrays import Singles
from headstart.engine.known.network import KnownNetwork
from headstart.engine.prefix.engine_choice import EngineOption, is_of_the_moment
from headstart.engine.prefix.onnx_session import OnnxSession
from headstart.engine.prefix.running import Engine
from headstart.engine.store.activations import FrozenPart, library_of, pooled_name
from headstart.engine.store.shards import Tensor as StoredTensor
from headstart.networks.cards.catalog import ModelCard
from headstart.networks.head_layers import DEPTHS, WITHOUT_BIAS, DepthColumns, HeadLayers, head_layers_of, is_of_head
from headstart.plan.request import HeadKind

if TYPE_CHECKING:
    from headstart.data.preprocess import NetworkInput
    from headstart.networks.backbone import Classifier
    from headstart.networks.weights.report import WeightReport

ClassifierState: TypeAlias = Mapping[str, Any]
"""Name of a tensor -> its values, as a numpy array or a torch tensor."""


@dataclass(frozen=True, kw_only=True)
class KnownClassifierFacts:
    """What a classifier is, besides its weights."""

    card: ModelCard
    head_kind: HeadKind
    num_classes: int
    group_names: tuple[str, ...] = ()
    """Stem to head."""
    report: WeightReport | None = None
    """On the weights, as they were loaded when the network got known."""


class KnownClassifier:
    """Network with the classes of the user, of which torch builds nothing until something has to be trained."""

    outputs_from_features = True
    """Only such networks get known."""

    def __init__(
        self,
        facts: KnownClassifierFacts,
        network: KnownNetwork,
        state: Mapping[str, npt.NDArray[Any]],
        build: Callable[[], Classifier],
    ) -> None:
        """A classifier in evaluation mode, on the CPU.

        Args:
            facts: What it is.
            network: Its backbone.
            state: Tensors of its backbone and its head.
            build: Builds it in torch, with its backbone and any head.
        """
        self.facts, self.known = facts, network
        self.card, self.head_kind, self.num_classes = facts.card, facts.head_kind, facts.num_classes
        self.group_names, self.report = facts.group_names, facts.report
        self._state = dict(state)
        self._build = build
        self._built: Classifier | None = None
        self._session: OnnxSession | None = None

    @property
    def image_channels(self) -> int:
        """Channels of the images that it takes: those of the weights, for it is trained on no others."""
        return self.card.input.channels

    @property
    def num_features(self) -> int:
        """Length of the feature vector of an image."""
        return self.known.features

    @property
    def num_last_features(self) -> int:
        """Number of them that the head of the network reads; they come first."""
        return sum(site.features for site in self.known.main_sites if site.path != DEPTHS)

    @property
    def depth_columns(self) -> DepthColumns:
        """Where the features of each group are; empty without a head on all depths."""
        return self.known.depth_columns

    @property
    def num_parameters(self) -> int:
        """Of backbone and head."""
        return self.known.parameters + sum(
            values.size for name, values in self._state.items() if is_of_head(name, self.known.sites)
        )

    def head_layers(self) -> HeadLayers:
        """Its head in numpy, as it is now."""
        if self._built is not None:
            return self._built.head_layers()
        return head_layers_of(self._state, self.known.sites, self.known.shares)

    def linear_weight(self) -> Singles:
        """Weight (K, F) of a linear head."""
        if self._built is not None:
            return np.asarray(self._built.linear_weight().cpu())
        weights = [self._state[f"{site.path}.weight"] for site in self.known.main_sites]
        return np.concatenate(
            [
                np.float32(share) * weight.reshape(len(weight), -1)
                for share, weight in zip(self.known.shares, weights, strict=True)
            ],
            axis=1,
        )

    def write_linear(self, weight_KF: Singles, bias_K: Singles) -> None:  # noqa: N803
        """Write a linear probe into the head, as `Classifier.write_linear` does."""
        if self._built is not None:
            self._built.write_linear(weight_KF, bias_K)
            return
        start, pairs = 0, list(zip(self.known.main_sites, self.known.shares, strict=True))
        own_shares = sum(share for site, share in pairs if site.path not in WITHOUT_BIAS)
        for site, share in pairs:
            columns = weight_KF[:, start : start + site.features] / np.float32(share)
            start += site.features
            self._write(f"{site.path}.weight", columns)
            if site.path not in WITHOUT_BIAS:
                self._write(f"{site.path}.bias", bias_K / np.float32(own_shares))
        for site in self.known.sites:
            if site.role == "auxiliary":
                for name in (name for name in self._state if name.startswith(f"{site.path}.")):
                    self._write(name, np.zeros_like(self._state[name]))

    def _write(self, name: str, values: Singles) -> None:
        # A new array: the one before may belong to a candidate.
        self._state[name] = np.ascontiguousarray(values, np.float32).reshape(self._state[name].shape).copy()

    def with_depths(self, network: KnownNetwork, build: Callable[[], Classifier]) -> KnownClassifier:
        """The same classifier with a head on all depths too, whose new layer is zero.

        Args:
            network: The same backbone, read at every depth.
            build: Builds it in torch.
        """
        (site,) = (site for site in network.sites if site.path == DEPTHS)
        layer = {f"{DEPTHS}.weight": np.zeros((self.num_classes, site.features), np.float32)}
        facts = replace(self.facts, head_kind="multi_depth")
        return KnownClassifier(facts, network, {**self._state, **layer}, build)

    def state(self) -> dict[str, Any]:
        """All tensors under the library's own names; arrays are shared and never changed."""
        return dict(self._state) if self._built is None else self._built.state()

    def restore(self, state: ClassifierState) -> None:
        """Load a whole state."""
        own = all(state.get(name) is values for name, values in self._state.items() if not self._of_head(name))
        if self._built is None and own:
            self._state = dict(state)
        else:  # another backbone, or that of a checkpoint
            self.built().restore(state)

    def _of_head(self, name: str) -> bool:
        return is_of_head(name, self.known.sites)

    @property
    def is_built(self) -> bool:
        """Whether torch has built it, and holds its weights."""
        return self._built is not None

    def built(self) -> Classifier:
        """The classifier in torch, with the head as it is now; from now on it holds the weights."""
        if self._built is None:
            made = self._build()
            made.restore(self._state)
            self._built = made
        return self._built

    def engine(self) -> OnnxSession:
        """ONNX Runtime on the export of its features, loaded at the first call."""
        if self._session is None:
            # An export of all depths begins with the features of the plain head, and serves it too.
            self._session = OnnxSession(self.known.export_path, columns=self.num_features)
        return self._session

    def pooled_part(self) -> FrozenPart:
        """The whole backbone: what the head reads."""
        return FrozenPart(
            _KnownPrefix(self),
            (StoredTensor((self.num_features,)),),
            self.card.name,
            pooled_name(self),
            library_of(self.card),
            self.known.weights,
        )

    def __repr__(self) -> str:
        return f"KnownClassifier({self.card.name}, {self.num_classes} classes, {self.head_kind} head)"


AnyClassifier: TypeAlias = "Classifier | KnownClassifier"


class _KnownPrefix:
    """The export of a known backbone; the network in torch where another engine is requested or the export fails."""

    device = "cpu"

    def __init__(self, classifier: KnownClassifier) -> None:
        self._classifier = classifier

    def engine(
        self,
        sample: NetworkInput,
        *,
        label: str,
        images_to_come: int,
        requested: EngineOption,
        on_note: Callable[[str], object],
    ) -> Engine:
        """ONNX Runtime, whose outputs were compared with the network's when it got known."""
        if requested != "torch":
            try:
                return self._classifier.engine()
            except Exception as error:  # a damaged or removed export: torch makes another one
                on_note(f"{label} is exported again: {error}")
                if not is_of_the_moment(error):
                    self._classifier.known.export_path.unlink(missing_ok=True)
        from headstart.engine.store.frozen_part import network_pooled_part

        runner = network_pooled_part(self._classifier.built()).runner
        return runner.engine(sample, label=label, images_to_come=images_to_come, requested=requested, on_note=on_note)
