"""The report in a real browser: no message of the console, and a layout that fits."""

import json
import re

import pytest

from tests.support import browser
from tests.vta.profiling.test_profile import profiled

pytestmark = pytest.mark.slow

PROBE = """
<script>
addEventListener("load", () => setTimeout(() => {
  document.querySelector("#layers th:nth-child(3) button").click();
  const found = {
    width: document.documentElement.scrollWidth, window: innerWidth,
    figures: [...document.querySelectorAll(".js-plotly-plot")].map((figure) => ({
      name: figure.id, traces: figure.data.length, drawn: figure.querySelectorAll("path").length,
      text: figure._fullLayout.font.color, right: figure.getBoundingClientRect().right,
    })),
    sorted: document.querySelector("#layers th:nth-child(3)").getAttribute("aria-sort"),
    page: getComputedStyle(document.body).backgroundColor,
    text: getComputedStyle(document.body).color,
  };
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = "FOUND" + JSON.stringify(found) + "END";
  document.body.append(out);
}, 500));
</script>
"""
FIGURES = ["timeline", "causes", "roofline", "occupancy", "traffic"]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The report with a script that says what the browser made of it."""
    browser.browser()
    folder = tmp_path_factory.mktemp("report") / "out"
    profiled().write(folder)
    page = folder / "probed.html"
    text = (folder / "report.html").read_text()
    page.write_text(text.replace("</body>", f"{PROBE}</body>"))
    return page


def found_in(page, *flags, dark=False):
    text, log = browser.run(page, "--dump-dom", *flags, dark=dark)
    assert browser.console(log) == []
    return json.loads(re.search(r"<pre[^>]*>FOUND(.*?)END</pre>", text, re.DOTALL)[1])


@pytest.mark.parametrize("width", [1200, 500])  # 500: the narrowest window of Chromium
def test_everything_fits_the_window(page, width):
    found = found_in(page, f"--window-size={width},3000")
    assert found["window"] == width and found["width"] <= width
    assert [figure["name"] for figure in found["figures"]] == FIGURES
    assert all(f["traces"] and f["drawn"] for f in found["figures"])
    assert all(figure["right"] <= width for figure in found["figures"])
    assert found["sorted"] == "descending"


def test_dark_and_light(page):
    light, dark = found_in(page), found_in(page, dark=True)
    for found, is_dark in ((light, False), (dark, True)):
        paper, text = (sum(map(int, re.findall(r"\d+", found[k])[:3])) for k in ("page", "text"))
        assert (paper < text) is is_dark
        colours = {figure["text"] for figure in found["figures"]}
        assert colours == {"#e3e3e3"} if is_dark else "#e3e3e3" not in colours


def test_a_print_has_pages(page, tmp_path):
    browser.run(page, f"--print-to-pdf={tmp_path / 'report.pdf'}")
    content = (tmp_path / "report.pdf").read_bytes()
    assert content.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", content)) >= 2
