"""data.json of a run: images by role, and hashes that distinguish files and roles."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from headstart.data.checks import image_checks
from headstart.data.checks.pixels import view_facts
from headstart.data.sources.reading import ImageRecord
from headstart.input_spec import InputSpec
from headstart.plan.plan import DataPlan
from headstart.runs.run_data import HashedPart, ImageRole, RoleCounts, RunData
from headstart.workflow.images import CheckedData, content_hash


def run_data(part: DataPlan, data: CheckedData, spec: InputSpec) -> RunData:
    """Images of a run by role, with hashes and findings, for its data.json.

    Args:
        part: Which images, as the plan names them.
        data: Its images, with their roles and findings.
        spec: Input of the network.
    """
    roles = data.roles
    named: dict[ImageRole, Sequence[ImageRecord]] = {
        "train": roles.train,
        "validation": roles.validation,
        "test": roles.test,
    }
    sizes = Counter(data.groups.values())
    hashes: dict[HashedPart, str] = {
        "all": files_hash((record for records in named.values() for record in records), data.facts.digests),
        **{role: files_hash(records, data.facts.digests) for role, records in named.items()},
    }
    return RunData(
        source=part.source,
        content=content_hash(data),
        content_of=hashes,
        classes=tuple(roles.classes),
        roles={
            role: RoleCounts(len(records), dict(sorted(Counter(r.label for r in records).items())))
            for role, records in named.items()
        },
        images={role: tuple(record.id for record in records) for role, records in named.items()},
        validation_source=roles.validation_source,
        test_source=roles.test_source,
        unreadable=data.facts.unreadable,
        view=view_facts(data.facts.sizes, spec),
        findings=tuple(image_checks.find_image_findings(data.dataset, data.facts, spec, groups=data.groups)),
        groups=len(sizes),
        group_of={image: group for image, group in data.groups.items() if sizes[group] > 1},
    )


def files_hash(records: Iterable[ImageRecord], digests: Mapping[str, str]) -> str:
    """Hash of names, classes and bytes, independent of order and role."""
    digest = hashlib.blake2b(digest_size=16)
    for line in sorted(f"{record.id}\0{record.label}\0{digests[record.id]}\n" for record in records):
        digest.update(line.encode())
    return digest.hexdigest()
