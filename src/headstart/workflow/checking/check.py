"""check: counts and findings of all images of DATA, from files, pixels and features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from headstart.data.band_count import with_band_count
from headstart.data.checks import image_checks
from headstart.data.checks.check_result import CheckResult, DomainNote, FeatureNote, GroupCount, check_result
from headstart.data.checks.cleaned_index import refuse_cleaned_index, write_cleaned_index
from headstart.data.checks.image_checks import FileFacts
from headstart.data.checks.near_findings import write_group_table
from headstart.data.early_views import make_early_views
from headstart.data.sources.dataset import Links
from headstart.data.sources.reading import WHOLE, Dataset
from headstart.data.splits import VAL_PREFIX, group_names, unmatched_count
from headstart.errors import MissingExtraError
from headstart.findings import Checks, by_level
from headstart.html.pictures import ShownImages
from headstart.input_spec import Decoding, InputSpec, Resize
from headstart.knowledge.domains import DOMAINS
from headstart.networks.cards.finding import find_model
from headstart.plan.plan import DataPlan
from headstart.plan.request import DEFAULT_MODEL, Request
from headstart.runs.progress import Progress, no_progress
from headstart.workflow.checking.feature_findings import LEAST_COMPARED_IMAGES, find_in_features
from headstart.workflow.checking.features import checked_features
from headstart.workflow.checking.page import refuse_page, write_findings_page
from headstart.workflow.images import joined_groups, read_watched, requested_input, sources_of
from headstart.workflow.plans import FoundDomain, domain_found, make_plan


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """Options of check; None means the default of `train`."""

    source: str
    """DATA."""
    val: str | None = None
    """Folder of the test set."""
    group: str | None = None
    """Pattern whose group 1 names the images of one group."""
    checks: Checks = "all"
    model: str | None = None
    """Network whose input says what is cut off the images, and whose features are compared."""
    input_size: int | None = None
    """Side in pixels."""
    resize: Resize | None = None
    """crop, squash or letterbox."""
    decoding: Decoding = field(default_factory=Decoding)
    """What the bytes of the image files become."""
    links: Links = "inside"
    """Whether links out of DATA are followed."""
    group_table: Path | None = None
    """Where to write a table of all images and their groups, near-identical images in one."""
    fix: Path | None = None
    """Folder for a cleaned index, which is made."""
    page: Path | None = None
    """Where to write the findings as one HTML page."""
    page_images: ShownImages = "named"
    """Whether the page shows small copies of the images."""


def check(options: CheckOptions, *, progress: Progress = no_progress) -> CheckResult:
    """Counts, sizes and findings of DATA, every image of which is read.

    Args:
        options: Images, network and checks.
        progress: Receives the progress.

    Raises:
        DataError: there is nothing to read, or no table can be written.
        PlanError: an option is wrong.
        ModelError: no such model.
    """
    part = DataPlan.from_options(source=options.source, val=options.val, group=options.group, links=options.links)
    request = Request(part, model=options.model, input_size=options.input_size, resize=options.resize)
    dataset = _all_images(part)
    if options.fix is not None:
        refuse_cleaned_index(options.fix, dataset)
    if options.page is not None:
        refuse_page(options.page, options.source)
    decoding = with_band_count(options.decoding, dataset.records, channels="auto")
    spec = replace(requested_input(request), decoding=decoding)
    domain = domain_found(request) if options.checks != "files" and _is_labelled(dataset) else None
    seen = None if options.checks == "files" else _input_of_training(request, domain, spec)
    with make_early_views(seen):
        facts = read_watched(dataset.records, progress, decoding=decoding, near_duplicates="find")
        groups = group_names(facts.readable, part.group)
        found = check_result(dataset, facts, spec, groups=groups)
        if options.group is not None or any(record.group for record in facts.readable):
            counted = GroupCount(len(set(groups.values())), unmatched_count(facts.readable, groups))
            shared = image_checks.shared_group_findings(facts.readable, groups)
            found = replace(found, groups=counted, findings=(*shared, *found.findings))
        else:
            found = replace(found, domain=_domain_note(domain))
        joined = joined_groups(groups, facts)
        if seen is not None:
            found = _with_features(found, facts, joined, request, seen, progress)
    return _with_files(found, options, dataset, facts, joined)


def _with_files(
    found: CheckResult, options: CheckOptions, dataset: Dataset, facts: FileFacts, groups: Mapping[str, str]
) -> CheckResult:
    """The result with the files that the options want: a table of groups, a cleaned index, a page."""
    records, splits = facts.readable, dataset.splits()
    if options.group_table is not None:
        write_group_table(options.group_table, records, groups, splits=splits)
        found = replace(found, group_table=str(options.group_table))
    if options.fix is not None:
        cleaned = write_cleaned_index(options.fix, records, found.findings, groups, splits=splits)
        found = replace(found, cleaned=cleaned)
    if options.page is not None:
        found = replace(found, page=str(options.page))
        write_findings_page(found, dataset.records, options.page, images=options.page_images, decoding=options.decoding)
    return found


def _all_images(part: DataPlan) -> Dataset:
    """Images of DATA, and those of `val` as another split."""
    dataset, held = sources_of(part, labels="optional")
    if held is None:
        return dataset
    train = tuple(replace(r, split="train") for r in dataset.records if r.split in ("train", WHOLE))
    account = dataset.account.joined(held.account, prefix=VAL_PREFIX)
    return replace(dataset, records=train + held.records, account=account)


def _is_labelled(dataset: Dataset) -> bool:
    return any(record.label for record in dataset.records)


def _input_of_training(request: Request, domain: FoundDomain | None, spec: InputSpec) -> InputSpec:
    """What the network sees of the images in a training, so that it finds the same features in the cache."""
    if domain is None:
        return spec
    size = make_plan(request, domain).input.size
    return spec if size == "auto" else replace(spec, size=size)


def _domain_note(found: FoundDomain | None) -> DomainNote | None:
    """What usually belongs together in the domain; nothing of photos, for which it would stand under every folder."""
    if found is None or found.name in (None, "photo"):
        return None
    domain = DOMAINS[found.name]
    return DomainNote(domain.name, domain.group_hint)


def _with_features(
    found: CheckResult,
    facts: FileFacts,
    groups: Mapping[str, str],
    request: Request,
    spec: InputSpec,
    progress: Progress,
) -> CheckResult:
    """The result with what the features show, or with the reason why they were not compared."""
    if len(facts.readable) < LEAST_COMPARED_IMAGES:
        return found
    try:
        images = checked_features(facts, groups, find_model(request.model or DEFAULT_MODEL), spec, progress=progress)
    except MissingExtraError as error:
        return replace(found, features=FeatureNote(0, f"features were not compared: {error}"))
    findings = by_level((*found.findings, *find_in_features(images, progress)))
    return replace(found, findings=findings, features=FeatureNote(len(images.records)))
