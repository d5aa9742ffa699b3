"""Rules that decide the strategy, and the reasons against all others; pure functions.

Read `RULES` from the top: the first row that holds decides. Then the budget may lead to a more frozen strategy, never
to a less frozen one. All else equal, more images never freeze more (unless they cost more than the
budget), more similarity never freezes less, and a smaller budget never costs more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from headstart.advice.situation import DomainSimilarity, Situation
from headstart.amounts import count_text, duration_text
from headstart.knowledge.choosing import (
    FEW_IMAGES,
    FEW_PER_CLASS,
    MANY_IMAGES,
    NEVER_ADVISED,
    SCRATCH_IMAGES,
    STEPS_MEASURED,
    STEPS_SOURCE,
    TUNABLE_IMAGES,
)
from headstart.knowledge.domain import RULE_OF_THUMB
from headstart.knowledge.domains import DOMAINS
from headstart.plan.plan import Domain

UNFREEZING: tuple[str, ...] = (
    "feature_extraction",
    "gradual",
    "partial",
    "discriminative",
    "progressive",
    "probe_then_tune",
    "full",
    "scratch",
)
"""From most frozen to nothing frozen: each strategy trains everything that those before it train, or more."""


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a situation; fields that are left out hold for any."""

    similarity: tuple[DomainSimilarity, ...] = ()
    domains: tuple[Domain, ...] = ()
    least: int = 0
    """Smallest number of images."""
    below: float = math.inf
    """Number of images, exclusive."""
    per_class_below: float = math.inf
    """Images of the median class, exclusive."""

    def holds(self, situation: Situation) -> bool:
        """Whether all conditions hold."""
        per_class = situation.images_per_class
        return (
            (not self.similarity or situation.domain_similarity in self.similarity)
            and (not self.domains or situation.domain in self.domains)
            and self.least <= situation.images < self.below
            and (self.per_class_below == math.inf or (per_class is not None and per_class < self.per_class_below))
        )

    def __str__(self) -> str:
        """`document, similarity low, 1,000 to 50,000 images`."""
        parts = [" or ".join(self.domains)]
        parts.append(f"similarity {' or '.join(self.similarity)}" if self.similarity else "")
        if self.per_class_below < math.inf:
            parts.append(f"fewer than {self.per_class_below:g} images of a class in half of the classes or more")
        if self.least and self.below < math.inf:
            parts.append(f"{self.least:,} to {self.below:,.0f} images")
        elif self.least or self.below < math.inf:
            parts.append(f"{self.least:,} images or more" if self.least else f"fewer than {self.below:,.0f} images")
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of the table."""

    when: When
    strategy: str
    reason: str
    """Clause that follows the facts of the situation."""
    source: str


RULES: tuple[Rule, ...] = (
    Rule(
        When(per_class_below=FEW_PER_CLASS),
        "feature_extraction",
        f"fewer than {FEW_PER_CLASS} images of a class, in half of the classes or more, are too few to fine-tune on; a "
        "linear probe is as good or better there, and forgets nothing",
        "Kornblith et al. 2019; the threshold is a rule of thumb",
    ),
    Rule(
        When(("high",), below=FEW_IMAGES),
        "feature_extraction",
        f"fewer than {FEW_IMAGES:,} images much like those the weights were trained on: frozen features are hard to "
        "beat, and nothing is forgotten",
        "Zeiler & Fergus 2014; Kornblith et al. 2019; the threshold is a rule of thumb",
    ),
    Rule(
        When(("high", "medium", "unknown"), least=MANY_IMAGES),
        "full",
        f"{MANY_IMAGES:,} images or more: enough to train every layer without losing what it has learned",
        "Kolesnikov et al. 2020, who tune every layer at every size; the threshold is a rule of thumb",
    ),
    Rule(
        When(below=TUNABLE_IMAGES),
        "progressive",
        f"the last stages are trained only if that beats the linear probe on your own images; {STEPS_MEASURED}",
        f"{STEPS_SOURCE}; Kornblith et al. 2019",
    ),
    Rule(
        When(("high", "medium", "unknown"), below=MANY_IMAGES),
        "progressive",
        "each step trains more of the network, from the linear probe on, and must beat it on your own images; one that "
        "cannot pay is left out",
        f"Kumar et al. 2022; {STEPS_SOURCE}",
    ),
    *(
        Rule(When(("low",), (domain.name,), least=own.least_images), own.name, own.reason, own.source)
        for domain in DOMAINS.values()
        if (own := domain.strategy) is not None
    ),
    Rule(
        When(("low",), below=FEW_IMAGES),
        "progressive",
        "unlike those the weights were trained on: the last stages are trained first, then deeper ones while that "
        "pays, so that useful features stay",
        f"Kumar et al. 2022; {STEPS_SOURCE}",
    ),
    Rule(
        When(("low",), least=FEW_IMAGES),
        "full",
        f"a large gap, and {FEW_IMAGES:,} images or more to close it: every layer is trained",
        "Yosinski et al. 2014: features transfer less the further the task; the threshold is a rule of thumb",
    ),
)
"""Which strategy, by similarity, domain and number of images."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A strategy, the reason for it, and the reasons against all others."""

    strategy: str
    reason: str
    source: str
    without_budget: str
    """The strategy of the table, before the budget is considered."""
    rejected: Mapping[str, str]
    """Every other strategy -> why not."""


def decide(situation: Situation, seconds: Mapping[str, float]) -> Decision:
    """The strategy for a situation, with reasons.

    Args:
        situation: What is known.
        seconds: Expected time of every strategy of `UNFREEZING` on the machine that will train.
    """
    rule = rule_for(situation)
    allowed = situation.seconds_allowed
    # Strategies that freeze as much or more, from that of the rule on; the cheapest is the last resort.
    candidates = [name for name in UNFREEZING[UNFREEZING.index(rule.strategy) :: -1] if name not in NEVER_ADVISED]
    chosen = next((name for name in candidates if seconds[name] <= allowed), UNFREEZING[0])
    reason, source = f"{facts_text(situation)}: {rule.reason}", rule.source
    if chosen != rule.strategy:
        reason += (
            f". But {rule.strategy} would take about {duration_text(seconds[rule.strategy])} here, more than the "
            f"budget of {duration_text(allowed)}, so it is {chosen} (about {duration_text(seconds[chosen])})"
        )
        source += "; budget, and the estimate of headstart.engine.costs.training_cost"
    others = {name: why_not(name, chosen, rule, situation, seconds) for name in UNFREEZING if name != chosen}
    return Decision(chosen, reason, source, rule.strategy, others)


def rule_for(situation: Situation) -> Rule:
    """The first row of the table that holds; one does for every situation (a test walks the grid)."""
    return next(rule for rule in RULES if rule.when.holds(situation))


def least_images(strategy: str, situation: Situation) -> int:
    """Number of images from which the table trains as much as a strategy does, in classes that are large enough.

    Args:
        strategy: One of the table's; random weights are not.
        situation: Gives similarity and domain.
    """
    like = replace(situation, classes=None, median_per_class=None)
    bounds = {bound for rule in RULES for bound in (rule.when.least, rule.when.below) if 0 < bound < math.inf}
    rank = UNFREEZING.index(strategy)
    return next(
        images
        for images in sorted({1, *map(int, bounds)})
        if UNFREEZING.index(rule_for(replace(like, images=images)).strategy) >= rank
    )


def facts_text(situation: Situation) -> str:
    """Facts that the rules used: `500 labelled images, medical, similarity medium (usual for the domain)`."""
    parts = [count_text(situation.images, "labelled image")]
    if (per_class := situation.images_per_class) is not None:
        whose = "class" if situation.median_per_class is None else "median class"
        parts.append(f"{math.floor(per_class):,} of a {whose}")
    parts.append(situation.domain if situation.domain_is == "known" else "domain unknown")
    source = "usual for the domain" if situation.domain_similarity != "unknown" else "neither given nor measured"
    if isinstance(situation.similarity, (int, float)):
        source = f"{situation.similarity:.2f}"
    elif situation.similarity is not None:
        source = "given"
    return f"{', '.join(parts)}, similarity {situation.domain_similarity} ({source})"


def why_not(strategy: str, chosen: str, rule: Rule, situation: Situation, seconds: Mapping[str, float]) -> str:
    """Sentence against a strategy."""
    if strategy == "scratch":
        return _why_not_scratch(situation)
    if strategy in NEVER_ADVISED:
        return NEVER_ADVISED[strategy]
    rank = UNFREEZING.index(strategy)
    if seconds[strategy] > situation.seconds_allowed and rank > UNFREEZING.index(chosen):
        said = "the rules would choose it, but it" if strategy == rule.strategy else "it"
        return (
            f"{said} would take about {duration_text(seconds[strategy])} here, more than the budget of "
            f"{duration_text(situation.seconds_allowed)}"
        )
    if rank < UNFREEZING.index(chosen):
        return TOO_FROZEN[strategy].format(**_words(situation, chosen))
    return f"{TOO_FREE[strategy]}; {_requirements(strategy, rule, situation)}"


def _why_not_scratch(situation: Situation) -> str:
    if situation.images < SCRATCH_IMAGES:
        return (
            f"random weights need {SCRATCH_IMAGES:,} labelled images or more ({RULE_OF_THUMB}); there are "
            f"{situation.images:,}"
        )
    if situation.domain_similarity == "low":
        return (
            f"{situation.images:,} images would do, but transfer comes first: it is the baseline in a tenth of the "
            "epochs; compare with scratch afterwards (in object detection, random weights caught up with longer "
            "training: He et al. 2019)"
        )
    return f"similarity {situation.domain_similarity}: pretrained features are a head start over random weights"


TOO_FROZEN: dict[str, str] = {
    "feature_extraction": "{frozen_features}",
    "partial": "leaves all but the last two stages frozen; {allows_more}",
    "progressive": "stops where a deeper step is not worth its time; {chosen} trains every layer",
    "probe_then_tune": "skips tuning where the probe makes no mistake, and saves little else; {chosen} always tunes",
}
"""Strategy -> why not, where a less frozen one was chosen."""

TOO_FREE: dict[str, str] = {
    "partial": "trains the last stages too",
    "progressive": "the default of headstart train starts with the same probe, and trains more layers only while that "
    "pays",
    "probe_then_tune": "starts with the same probe and tunes every layer at once, which takes minutes where the last "
    "stages take seconds",
    "full": "trains every layer, without a probe to compare with",
}
"""Strategy -> what it does, where a more frozen one was chosen; followed by its requirements."""


def _requirements(strategy: str, rule: Rule, situation: Situation) -> str:
    """Numbers of images from which the table chooses a strategy beyond `rule`."""
    least, per_class = least_images(strategy, situation), situation.images_per_class
    takes, there, where = [], [], ""
    if least > situation.images:
        domain = f"domain {situation.domain}" if situation.domain_is == "known" else "unknown domain"
        where = f"at similarity {situation.domain_similarity} and {domain} "
        takes.append(f"{least:,} images or more")
        there.append(f"{situation.images:,}")
    if rule.when.per_class_below < math.inf and per_class is not None:
        takes.append(f"{rule.when.per_class_below:g} or more of a class")
        there.append(f"{math.floor(per_class)} of a class")
    return f"{where}that needs {', '.join(takes)}; there are {', '.join(there)}"


def _words(situation: Situation, chosen: str) -> dict[str, object]:
    """Values of the placeholders in `TOO_FROZEN`."""
    images, similarity = situation.images, situation.domain_similarity
    frozen_features = {
        "low": "may do badly: late features of photos say little about images so unlike them; it stays in the run as "
        "the linear probe, the one to beat",
        "unknown": "is part of the run: the linear probe is epoch 0, and is selected unless a tuned epoch is "
        "significantly better",
    }.get(
        similarity,
        f"{images:,} images are enough to train late layers; it stays in the run as the linear probe, the one to beat",
    )
    return {
        "images": images,
        "similarity": similarity,
        "chosen": chosen,
        "frozen_features": frozen_features,
        "allows_more": f"{images:,} images at similarity {similarity} are enough to train more",
    }
