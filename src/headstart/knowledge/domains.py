"""Values of all domains: one file a domain, one table."""

from __future__ import annotations

from headstart.knowledge.document import DOCUMENT
from headstart.knowledge.domain import Domain, DomainValues
from headstart.knowledge.industrial import INDUSTRIAL
from headstart.knowledge.medical import MEDICAL
from headstart.knowledge.photo import PHOTO
from headstart.knowledge.satellite import SATELLITE

DOMAINS: dict[Domain, DomainValues] = {
    domain.name: domain for domain in (PHOTO, MEDICAL, SATELLITE, DOCUMENT, INDUSTRIAL)
}

FLIP_WARNING = "where a mirrored image means something else (writing, a body), say --domain document or medical"
"""Said where the domain is not known."""

__all__ = ["DOMAINS", "FLIP_WARNING", "DomainValues"]
