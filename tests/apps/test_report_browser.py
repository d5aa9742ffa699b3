"""Reports in a real browser, from the disk and with the network cut: on a phone, in the dark, for a screen reader.

Screenshots of both kinds, each width and mode, are left in pytest's temporary folder (`--basetemp` names it).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import make_images
from headstart.workflow.checking.check import CheckOptions, check
from headstart.workflow.reporting import report
from messy_folder import make_messy
from report_folders import make_comparison, make_run

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
)
KINDS = ("run", "images", "killed", "many", "comparison", "findings")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One page of each kind."""
    folder = tmp_path_factory.mktemp("reports")
    source = make_images(folder / "photos" / "val", per_class=20)
    for name, new in (("blue", "ants"), ("green", "bees")):
        (source / name).rename(source / new)
        for image in (source / new).iterdir():
            image.rename(image.with_name(f"0{image.name}"))
    run = make_run(folder / "run", source=str(source.parent), epochs=6)
    images = make_run(folder / "images", source=str(source.parent))
    killed = make_run(folder / "killed", ends="killed")
    names = [f"a class with the long name {'x' * 40} {i}" for i in range(14)]
    many = make_run(folder / "many", classes=names, report_images=280, epochs=40)
    runs = {
        f"variant_{i}": [make_run(folder / f"{i}{s}", seed=9 * i + s, epochs=3 + i) for s in range(3)] for i in range(4)
    }
    rates = dict(
        zip(runs, [(1e-2, "diverges"), (1e-3, "forgets"), (1e-4, "sweet spot"), (1e-6, "undertrains")], strict=True)
    )
    comparison = make_comparison(folder / "comparison", runs, what="learning_rates", finished=False, rates=rates)
    written = report([run, killed, many, comparison]) + report([images], images="shown")
    findings = folder / "findings.html"
    messy = make_messy(folder / "messy")
    check(CheckOptions(str(messy), checks="files", page=findings, page_images="shown"))
    return {**{one.run.name: one.path for one in written}, "findings": findings}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield made
        made.close()


@pytest.fixture
def shown(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """Opens a page; at the end nothing may have been asked of any place, and the console must be quiet."""
    contexts, requests, complaints = [], [], []

    def show(kind: str, *, width: int = 1280, mode: Any = "light") -> Any:
        context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=mode)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(pages[kind].as_uri())
        return page

    yield show
    for context in contexts:
        context.close()
    own = tuple(path.as_uri() for path in pages.values())
    assert not [url for url in requests if not url.startswith((*own, "data:image/jpeg"))]
    assert not complaints


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(shown: Any, axe: str, kind: str, mode: str):
    page = shown(kind, mode=mode)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    page.evaluate(axe)
    answer = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    found = [
        (one["id"], one["nodes"][0]["html"][:200], one["nodes"][0]["failureSummary"][:300])
        for one in answer["violations"]
        if one["impact"] in ("serious", "critical")
    ]
    assert not found


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_pages_fit_a_phone_and_a_desktop(shown: Any, tmp_path: Path, kind: str, width: int, mode: str):
    page = shown(kind, width=width, mode=mode)
    page.screenshot(path=tmp_path / f"{kind}-{width}-{mode}.png", full_page=True)
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "wide things scroll in their own box"
    small = page.evaluate(
        """() => [...document.querySelectorAll("svg text, td, th, p, li")]
        .filter((e) => e.textContent && parseFloat(getComputedStyle(e).fontSize) < 12).map((e) => e.outerHTML)"""
    )
    assert not small, "nothing shrinks until it cannot be read"


def test_names_in_charts_do_not_lie_on_each_other(shown: Any):
    page = shown("comparison", width=390)
    overlapping = page.evaluate(
        """() => [...document.querySelectorAll("svg.plot")].flatMap((plot) => {
          const boxes = [...plot.querySelectorAll("text.said, text.tick")]
            .map((text) => [text.textContent, text.getBoundingClientRect()]);
          return boxes.flatMap(([name, a], i) => boxes.slice(i + 1)
            .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1)
            .filter(([, b]) => a.top < b.bottom - 3 && b.top < a.bottom - 3)
            .map(([other]) => `${name} | ${other}`));
        })"""
    )
    assert not overlapping


def test_a_number_in_the_matrix_opens_its_images(shown: Any):
    page = shown("images")
    link = page.locator("table.matrix a").first
    target = link.get_attribute("href")
    assert not page.locator(target).is_visible()
    link.click()
    page.wait_for_function("id => document.querySelector(id).checkVisibility()", arg=target)
    assert page.locator(f"{target} img").first.evaluate("image => image.naturalWidth") > 0


def test_the_keyboard_reaches_what_scrolls(shown: Any):
    page = shown("many", width=390)
    boxes = page.locator(".hs-scroll")
    assert boxes.count() > 3
    assert all(boxes.nth(i).get_attribute("tabindex") == "0" for i in range(boxes.count()))


def test_what_is_printed_has_everything(shown: Any):
    page = shown("run")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert page.pdf()[:4] == b"%PDF"
