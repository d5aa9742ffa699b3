"""The pages in a real browser, with the network cut: what a user does, measured where the user sees it.

Screenshots of every page, width and mode are left in pytest's temporary folder (`--basetemp` names it).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from headstart.apps.pages import decide_page
from headstart.html import frame
from headstart.networks.cards.catalog import all_cards
from headstart.plan.plan import Plan
from headstart.workflow.advising import advise
from page_text import parsed
from web_server import serving

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)
"""The last one cuts the network: no name but this machine's address is found."""
ANSWER_WITHIN_MS = 200

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is not installed (apt-get install chromium)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a process of its own, on a free port."""
    pytest.importorskip("gradio", reason="the extra web is not installed")
    with serving(tmp_path_factory.mktemp("server")) as made:
        yield made


class Watched:
    """A page, and everything that must not happen on it."""

    def __init__(self, page: Any, address: str) -> None:
        self.page = page
        self.address = address
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.goto(address)
        page.wait_for_selector("#decide-result [data-strategy]")
        page.wait_for_selector("html[data-page]")

    def open(self, name: str) -> None:
        """Another page, as the link in the head does."""
        self.page.click(f'.hs-nav a[href="#{name}"]')
        self.page.wait_for_selector(f'html[data-page="{name}"]')

    def choose(self, name: str, value: str) -> None:
        """One of a few options."""
        self.page.locator(f'[data-field="{name}"] label:has(input[value="{value}"])').click()

    def text(self, selector: str) -> str:
        """What an element holds, shown or not."""
        return self.page.locator(selector).first.text_content()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(executable_path=str(CHROMIUM), args=list(ARGUMENTS))
        yield made
        made.close()


@pytest.fixture(scope="module")
def watched(browser: Any, address: str) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    yield Watched(context.new_page(), address)
    context.close()


SLIDE = """async ([field, position, answer]) => {
  const shown = document.querySelector(answer);
  const range = document.querySelector(`[data-field="${field}"] input[type=range]`);
  const before = shown.textContent;
  const changed = new Promise((resolve) => {
    const watch = new MutationObserver(() => {
      if (shown.textContent === before) return;
      watch.disconnect();
      resolve(performance.now());
    });
    watch.observe(shown, { subtree: true, childList: true, characterData: true });
  });
  const started = performance.now();
  range.value = position;
  range.dispatchEvent(new Event("input", { bubbles: true }));
  return (await changed) - started;
}"""
"""Moves a slider and waits until the answer reads differently: the whole way through the server and back, in ms."""


def test_sliders_change_the_answer_at_once(watched: Watched):
    watched.open("decide")
    watched.page.evaluate(SLIDE, ["images", 12, "#decide-result .hs-stack"])  # the first opens a connection
    steps = (14, 18, 22, 25, 28, 20, 16, 10, 5, 0)
    taken = [watched.page.evaluate(SLIDE, ["images", at, "#decide-result .hs-stack"]) for at in steps]
    watched.open("models")
    others = [watched.page.evaluate(SLIDE, ["models-parameters", at, "#models-table .hs-stack"]) for at in (5, 8, 3)]
    print(f"decide: median {statistics.median(taken):.0f} ms, most {max(taken):.0f} ms of {len(taken)} changes")
    print(f"networks: median {statistics.median(others):.0f} ms")
    assert statistics.median(taken) < ANSWER_WITHIN_MS
    assert statistics.median(others) < 2 * ANSWER_WITHIN_MS, "a thousand points are drawn anew"


def test_dragging_ends_with_the_answer_to_the_last_place(watched: Watched):
    """Twenty changes in a row, faster than they can be answered."""
    watched.open("decide")
    watched.page.evaluate(
        """() => {
          const range = document.querySelector('[data-field="images"] input[type=range]');
          for (let at = 0; at <= 20; at++) {
            range.value = at;
            range.dispatchEvent(new Event("input", { bubbles: true }));
          }
        }"""
    )
    images = watched.page.input_value('[data-field="images"] input[type=number]')
    watched.page.wait_for_function(
        "images => document.getElementById('advise-command').textContent.includes(`--images ${images} `)", arg=images
    )
    spoken = watched.page.get_attribute('[data-field="images"] input[type=range]', "aria-valuetext")
    assert spoken == f"{int(images):,}"


def test_the_page_answers_as_the_library_does(watched: Watched):
    watched.open("decide")
    watched.page.fill('[data-field="images"] input[type=number]', "8000")
    watched.choose("domain", "medical")
    watched.choose("gpu", "none")
    watched.page.fill('[data-field="cores"] input', "2")
    advice = advise(images=8_000, domain="medical", cores=2, gpu="none")
    watched.page.wait_for_function(
        "wanted => document.getElementById('advise-command').textContent === wanted",
        arg="headstart advise --images 8000 --domain medical --cores 2 --gpu none",
    )
    assert watched.text("#decide-result [data-strategy]") == decide_page.named(advice.strategy)
    assert Plan.from_dict(yaml.safe_load(watched.text("#plan-yaml"))) == advice.plan


def test_what_is_copied_trains(watched: Watched, image_folder: Path, tmp_path: Path):
    page = watched.page
    watched.open("decide")
    page.fill('[data-field="images"] input[type=number]', "16")
    watched.choose("domain", "photo")
    watched.choose("similarity", "high")
    page.fill('[data-field="data"] input', str(image_folder))
    page.wait_for_function(
        "path => document.getElementById('plan-yaml').textContent.includes(path)", arg=str(image_folder)
    )
    page.click('[data-copies="train-command"]')
    page.wait_for_function("document.getElementById('hs-status').textContent === 'command copied'")
    command = page.evaluate("navigator.clipboard.readText()")
    assert command == f"headstart train {image_folder} --strategy feature_extraction"
    page.click('[data-copies="plan-yaml"]')
    page.wait_for_function("document.getElementById('hs-status').textContent === 'plan.yaml copied'")
    (tmp_path / "plan.yaml").write_text(page.evaluate("navigator.clipboard.readText()"), encoding="utf-8")
    arguments = ["train", "--plan", str(tmp_path / "plan.yaml"), "--out", str(tmp_path / "run"), "--json"]
    done = subprocess.run([sys.executable, "-m", "headstart", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert (tmp_path / "run" / "bundle" / "model.safetensors").is_file()


def test_domains_and_stored_probes_change_what_transfers(watched: Watched, tmp_path: Path):
    page = watched.page
    watched.open("transfer")
    watched.choose("transfer-family", "ResNet")
    page.wait_for_function("document.querySelector('#transfer-result h2').textContent.startsWith('resnet18')")
    assert page.input_value('[data-field="transfer-network"] select') == "resnet18"
    page.select_option('[data-field="transfer-network"] select', "resnet50")
    watched.choose("transfer-domain", "document")
    page.wait_for_function(
        "document.querySelector('#transfer-result h2').textContent === 'resnet50: what carries over to documents'"
    )
    row = {"group": "stem", "position": 0, "accuracy": 0.5, "accuracy_interval": [0.4, 0.6], "knn_accuracy": 0.4}
    row |= {"literature_share": 0.95, "cka": None}
    last = {**row, "group": "layer4", "position": 1, "accuracy": 0.9, "accuracy_interval": [0.8, 0.95]}
    told = {"model": "resnet18", "images": 90, "groups": [row, last], "sentence": "It rises.", "majority_share": 0.5}
    (tmp_path / "probe.json").write_text(json.dumps(told), encoding="utf-8")
    page.set_input_files('[data-field="transfer-probe"] input', tmp_path / "probe.json")
    page.wait_for_function("document.querySelector('#transfer-result h2').textContent.includes('measured on 90')")
    page.click('[data-field="transfer-probe"] button')
    page.wait_for_function("document.querySelector('#transfer-result h2').textContent.startsWith('resnet50')")


def test_filters_headings_and_points_choose_networks(watched: Watched):
    page = watched.page
    page.goto(f"{watched.address}#models")
    page.reload()
    page.wait_for_selector("#models-table table")
    watched.choose("models-library", "torchvision")
    page.select_option('[data-field="models-family"] select', "resnet")
    page.click('[data-chooses="models-sort"][data-value="parameters"]')
    fit = [card for card in all_cards() if card.library == "torchvision" and card.family == "resnet"]
    page.wait_for_function(
        "first => document.querySelector('#models-table tbody th').textContent === first",
        arg=min(fit, key=lambda card: (card.parameters, card.name)).name,
    )
    shown = page.locator("#models-table tbody th").all_text_contents()
    assert set(shown) <= {card.name for card in fit}
    heading = page.locator("#models-table th[aria-sort]")
    assert heading.get_attribute("aria-sort") == "ascending"
    page.click('#models-table [data-value="resnet34:IMAGENET1K_V1"]')
    page.wait_for_function("document.querySelector('#models-usage h2').textContent === 'resnet34:IMAGENET1K_V1'")
    point = page.locator('#models-chart circle[data-value="resnet18:IMAGENET1K_V1"]')
    point.click(force=True)
    page.wait_for_function("document.querySelector('#models-usage h2').textContent === 'resnet18:IMAGENET1K_V1'")
    assert page.input_value('[data-field="models-pick"] select') == "resnet18:IMAGENET1K_V1"


def test_what_was_unfolded_stays_so_and_the_keyboard_is_enough(watched: Watched):
    page = watched.page
    page.goto(f"{watched.address}#decide")
    page.wait_for_selector("#decide-result [data-strategy]")
    page.click('details[data-fold="command-line"] summary')
    page.focus('[data-field="images"] input[type=range]')
    before = watched.text("#advise-command")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.getElementById('advise-command').textContent !== before", arg=before)
    assert page.evaluate("document.activeElement.type") == "range", "the focus stays where it was"
    assert page.locator('details[data-fold="command-line"]').get_attribute("open") is not None
    page.focus('.hs-nav a[href="#models"]')
    page.keyboard.press("Enter")
    page.wait_for_selector('html[data-page="models"]')
    assert page.evaluate("document.activeElement.textContent") == "Which network?"
    assert page.title() == "Which network? - headstart"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_axe_finds_nothing_serious(watched: Watched, axe: str, mode: Any):
    page = watched.page
    page.emulate_media(color_scheme=mode)
    page.wait_for_function("dark => document.body.classList.contains('dark') === dark", arg=mode == "dark")
    page.evaluate(axe)
    found = []
    for name in frame.PAGES:
        watched.open(name)
        answer = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        found += [
            (name, one["id"], one["nodes"][0]["html"][:200])
            for one in answer["violations"]
            if one["impact"] in ("serious", "critical")
        ]
    assert not found


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_pages_fit_a_phone_and_a_desktop(watched: Watched, tmp_path: Path, width: int, mode: Any):
    page = watched.page
    page.set_viewport_size({"width": width, "height": 844 if width == 390 else 900})
    page.emulate_media(color_scheme=mode)
    for name in frame.PAGES:
        watched.open(name)
        page.wait_for_timeout(60)
        page.screenshot(path=tmp_path / f"{name}-{width}-{mode}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the screen"
        short = page.evaluate(
            """() => [...document.querySelectorAll("button, .hs-segments label, select, input[type=number]")]
            .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 18).map((e) => e.outerHTML)"""
        )
        assert not short, "nothing is too small to be touched"


def test_nothing_was_asked_of_any_other_host_and_the_console_is_quiet(watched: Watched):
    assert len(watched.requests) > 20
    strangers = [url for url in watched.requests if not url.startswith((watched.address, "data:", "blob:"))]
    assert not strangers
    assert not watched.complaints


def test_the_first_answer_is_that_of_the_pure_page(watched: Watched):
    fresh = watched.page.context.new_page()
    fresh.goto(watched.address)
    fresh.wait_for_selector("#decide-result [data-strategy]")
    values = {field.name: field.value for field in decide_page.FIELDS}
    expected = parsed(decide_page.page(values)).text_of(id="advise-command")
    assert fresh.locator("#advise-command").text_content() == expected
    fresh.close()
