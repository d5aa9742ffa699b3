"""The table of rules that decides the strategy, and why it is not one of the others; pure functions.

Read `RULES` from the top: the first row that holds decides. Then the budget may move the answer to a more frozen
strategy, never to a less frozen one. All else equal, more images never freeze more (unless they cost more than the
budget), more similarity never freezes less, and a smaller budget never costs more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from headstart.advice.situation import Nearness, Situation
from headstart.amounts import count_text, duration_text
from headstart.knowledge.choosing import (
    FEW_IMAGES,
    FEW_PER_CLASS,
    MANY_IMAGES,
    MEASURED_ORDER,
    MEASURED_SOURCE,
    NEVER_ADVISED,
    RULE_OF_THUMB,
    SCRATCH_IMAGES,
    TUNABLE_IMAGES,
)
from headstart.plan.plan import Domain

UNFREEZING: tuple[str, ...] = (
    "feature_extraction",
    "gradual",
    "partial",
    "discriminative",
    "probe_then_tune",
    "full",
    "scratch",
)
"""From what freezes most to what freezes nothing; each row may move whatever the rows above it move, and further."""


@dataclass(frozen=True, slots=True)
class When:
    """A condition on a situation; what is left out may be anything."""

    nearness: tuple[Nearness, ...] = ()
    domains: tuple[Domain, ...] = ()
    least: int = 0
    """Images, from here on."""
    below: float = math.inf
    """Images, to here."""
    per_class_below: float = math.inf
    """Images of the median class."""

    def holds(self, situation: Situation) -> bool:
        """Whether all of it is so."""
        per_class = situation.images_per_class
        return (
            (not self.nearness or situation.nearness in self.nearness)
            and (not self.domains or situation.domain in self.domains)
            and self.least <= situation.images < self.below
            and (self.per_class_below == math.inf or (per_class is not None and per_class < self.per_class_below))
        )

    def __str__(self) -> str:
        """`document, similarity low, 1,000 to 50,000 images`."""
        parts = [" or ".join(self.domains)]
        parts.append(f"similarity {' or '.join(self.nearness)}" if self.nearness else "")
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
    """Follows the facts of the situation in a sentence."""
    source: str


RULES: tuple[Rule, ...] = (
    Rule(
        When(per_class_below=FEW_PER_CLASS),
        "feature_extraction",
        f"fewer than {FEW_PER_CLASS} images of a class, in half of the classes or more, are too few to tune on; a "
        "linear probe is as good or better there, and forgets nothing",
        "Kornblith et al. 2019; the border is a rule of thumb",
    ),
    Rule(
        When(("high",), below=FEW_IMAGES),
        "feature_extraction",
        f"fewer than {FEW_IMAGES:,} images much like the weights' own: frozen features are hard to beat, and nothing "
        "is forgotten",
        "Zeiler & Fergus 2014; Kornblith et al. 2019; the border is a rule of thumb",
    ),
    Rule(
        When(("high", "medium"), ("satellite",), below=MANY_IMAGES),
        "partial",
        "seen from above, edges and textures are what they are in photos, objects are not: the last stages and the "
        "head are trained",
        f"{RULE_OF_THUMB}; Yosinski et al. 2014: features turn from general to specific with depth",
    ),
    Rule(
        When(("high", "medium", "unknown"), least=MANY_IMAGES),
        "full",
        f"{MANY_IMAGES:,} images or more: enough to move every layer without losing what it knew",
        "Kolesnikov et al. 2020, who tune every layer at every size; the border is a rule of thumb",
    ),
    Rule(
        When(("medium",), below=TUNABLE_IMAGES),
        "feature_extraction",
        f"fewer than {TUNABLE_IMAGES:,} images: where that few were tuned, a linear probe was as good or better",
        "Kornblith et al. 2019, 47 to 800 images; the border is a rule of thumb",
    ),
    Rule(
        When(("high", "medium"), below=MANY_IMAGES),
        "probe_then_tune",
        f"every layer is tuned from the linear probe, which stays selected unless it is beaten; {MEASURED_ORDER}",
        f"Kumar et al. 2022; {MEASURED_SOURCE}",
    ),
    Rule(
        When(("unknown",), below=MANY_IMAGES),
        "probe_then_tune",
        "the domain similarity is not known: the linear probe and a tuned network are compared on your own images, "
        "and the better one is selected",
        "Kumar et al. 2022",
    ),
    Rule(
        When(("low",), ("satellite",), below=FEW_IMAGES),
        "partial",
        "unlike the weights' own, but few: late layers are trained, early ones (edges, textures) stay frozen",
        f"{RULE_OF_THUMB}; Yosinski et al. 2014: features turn from general to specific with depth",
    ),
    Rule(
        When(("low",), below=TUNABLE_IMAGES),
        "feature_extraction",
        f"fewer than {TUNABLE_IMAGES:,} images unlike the weights' own: frozen features may struggle, and so few "
        "images cannot teach every layer",
        "Kornblith et al. 2019, 47 to 800 images; the border is a rule of thumb",
    ),
    Rule(
        When(("low",), ("document",), least=TUNABLE_IMAGES),
        "full",
        "pages are far from photos: late features of photos say little about them, so every layer is trained",
        "Yosinski et al. 2014: features transfer less the further the task; Li et al. 2022, who tune every layer",
    ),
    Rule(
        When(("low",), below=FEW_IMAGES),
        "probe_then_tune",
        "unlike the weights' own: every layer is tuned, from the linear probe, so that useful features stay",
        "Kumar et al. 2022",
    ),
    Rule(
        When(("low",), least=FEW_IMAGES),
        "full",
        f"a large gap, and {FEW_IMAGES:,} images or more to close it: every layer is trained",
        "Yosinski et al. 2014: features transfer less the further the task; the border is a rule of thumb",
    ),
)
"""Which strategy, by similarity, domain and number of images."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A strategy, why it, and why no other."""

    strategy: str
    reason: str
    source: str
    wanted: str
    """What the table says without looking at the budget."""
    rejected: Mapping[str, str]
    """Every other strategy -> why not."""


def decide(situation: Situation, seconds: Mapping[str, float]) -> Decision:
    """One strategy for a situation.

    Args:
        situation: What is known.
        seconds: Expected time of every strategy of `UNFREEZING` on the machine that will train.
    """
    rule = rule_for(situation)
    allowed = situation.seconds_allowed
    # Strategies that freeze as much or more, from the wanted one up; the cheapest is the last resort.
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
    """From how many images on the table moves as much as a strategy does, in classes that are large enough.

    Args:
        strategy: One of the table's; random weights are not.
        situation: Whose similarity and domain count.
    """
    like = replace(situation, classes=None, median_per_class=None)
    borders = {border for rule in RULES for border in (rule.when.least, rule.when.below) if 0 < border < math.inf}
    rank = UNFREEZING.index(strategy)
    return next(
        images
        for images in sorted({1, *map(int, borders)})
        if UNFREEZING.index(rule_for(replace(like, images=images)).strategy) >= rank
    )


def facts_text(situation: Situation) -> str:
    """`500 labelled images, medical, similarity medium (what the domain says)`: what the rules went by."""
    parts = [count_text(situation.images, "labelled image")]
    if (per_class := situation.images_per_class) is not None:
        whose = "class" if situation.median_per_class is None else "median class"
        parts.append(f"{math.floor(per_class):,} of a {whose}")
    parts.append(situation.domain if situation.domain_is == "known" else "domain unknown")
    told = "what the domain says" if situation.nearness != "unknown" else "nobody stated or measured it"
    if isinstance(situation.similarity, (int, float)):
        told = f"{situation.similarity:.2f}"
    elif situation.similarity is not None:
        told = "as stated"
    return f"{', '.join(parts)}, similarity {situation.nearness} ({told})"


def why_not(strategy: str, chosen: str, rule: Rule, situation: Situation, seconds: Mapping[str, float]) -> str:
    """One sentence why it is not this strategy."""
    if strategy == "scratch":
        return _why_not_scratch(situation)
    if strategy in NEVER_ADVISED:
        return NEVER_ADVISED[strategy]
    rank = UNFREEZING.index(strategy)
    if seconds[strategy] > situation.seconds_allowed and rank > UNFREEZING.index(chosen):
        said = "the rules would take it, but it" if strategy == rule.strategy else "it"
        return (
            f"{said} would take about {duration_text(seconds[strategy])} here, more than the budget of "
            f"{duration_text(situation.seconds_allowed)}"
        )
    if rank < UNFREEZING.index(chosen):
        return TOO_FROZEN[strategy].format(**_words(situation, chosen))
    return f"{TOO_FREE[strategy]}; {_what_it_takes(strategy, rule, situation)}"


def _why_not_scratch(situation: Situation) -> str:
    if situation.images < SCRATCH_IMAGES:
        return (
            f"random weights want {SCRATCH_IMAGES:,} labelled images or more ({RULE_OF_THUMB}); there are "
            f"{situation.images:,}"
        )
    if situation.nearness == "low":
        return (
            f"{situation.images:,} images would do, but transfer comes first: it is the baseline in a tenth of the "
            "epochs; compare with scratch afterwards (in object detection, random weights caught up with longer "
            "training: He et al. 2019)"
        )
    return f"similarity {situation.nearness}: pretrained features are a head start that random weights must first earn"


TOO_FROZEN: dict[str, str] = {
    "feature_extraction": "{frozen_features}",
    "partial": "leaves all but the last two stages as they are; {allows_more}",
    "probe_then_tune": "skips tuning where the probe makes no mistake, and saves little more; {chosen} always tunes",
}
"""Strategy -> why not, where a less frozen one was chosen."""

TOO_FREE: dict[str, str] = {
    "partial": "trains the last stages too",
    "probe_then_tune": "the default of headstart train starts with the same probe, tunes every layer, and keeps the "
    "probe unless it is beaten",
    "full": "trains every layer, whatever the probe says",
}
"""Strategy -> what it does, where a more frozen one was chosen; what that would take follows."""


def _what_it_takes(strategy: str, rule: Rule, situation: Situation) -> str:
    """The borders of the table that a strategy beyond `rule` waits for."""
    least, per_class = least_images(strategy, situation), situation.images_per_class
    takes, there, where = [], [], ""
    if least > situation.images:
        domain = f"domain {situation.domain}" if situation.domain_is == "known" else "unknown domain"
        where = f"at similarity {situation.nearness} and {domain} "
        takes.append(f"{least:,} images or more")
        there.append(f"{situation.images:,}")
    if rule.when.per_class_below < math.inf and per_class is not None:
        takes.append(f"{rule.when.per_class_below:g} or more of a class")
        there.append(f"{math.floor(per_class)} of a class")
    return f"{where}that takes {', '.join(takes)}; there are {', '.join(there)}"


def _words(situation: Situation, chosen: str) -> dict[str, object]:
    """What the sentences of `TOO_FROZEN` are filled with."""
    images, nearness = situation.images, situation.nearness
    frozen_features = {
        "low": "may struggle: late features of photos say little about images so unlike them; it stays in the run as "
        "the solved probe, the one to beat",
        "unknown": "is part of the run: the solved probe is epoch 0 and is kept unless a tuned epoch beats it",
    }.get(
        nearness,
        f"{images:,} images can teach late layers what frozen ones lack; it stays in the run as the solved probe, the "
        "one to beat",
    )
    return {
        "images": images,
        "nearness": nearness,
        "chosen": chosen,
        "frozen_features": frozen_features,
        "allows_more": f"{images:,} images at similarity {nearness} allow more, and ask for it",
    }
