"""The report: whole in itself, and drawn in a real browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from handzoo.zoo.compare.report import render

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
NASTY = "</script><img src=x onerror=alert(1)>"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--virtual-time-budget=8000", "--window-size=1320,2400", "--dump-dom",
)  # fmt: skip


def page_data() -> dict:
    """What a comparison of two models, one failed model and one sample gives."""
    rng = np.random.default_rng(0)

    def encode(values: np.ndarray, kind: str) -> str:
        return base64.b64encode(values.astype(kind).tobytes()).decode()

    def cell(value: float, unit: str = "mm") -> dict:
        return {"value": value, "sd": 0.1, "low": value * 0.9, "high": value * 1.1, "unit": unit,
                "samples": 9, "trials": [value]}  # fmt: skip

    def row(label: str) -> dict:
        return {
            "label": label, "model": label, "method": "", "color": "#0072b2", "ok": True,
            "error": "", "weights": "best.pth",
            "random": label == "second", "sha256": ["ab" * 32], "protocol": "p", "notes": [],
            "identity": {"input_size": 224, "hand_model": "bundled", "joint_order": "21-freihand",
                         "joints_from": "joints"},
            "cost": {"params_m": 2.5, "macs_g": 1.0, "peak_memory_mb": 5.0,
                     "train_ms_per_image": 9.0},
            "timing": {"latency_ms": 10.0 if label == "first" else 4.0, "latency_p05_ms": 9.0,
                       "latency_p95_ms": 11.0, "fps": 100.0},
            "published": {"PA-MPJPE": 6.3} if label == "first" else {},
            "plugins": [{"name": "hz_good", "version": "1.2", "distribution": "hz"}],
            "training": [], "reference": label == "first",
        }  # fmt: skip

    failed = row("third") | {
        "ok": False, "error": "CheckpointError: does not fit", "cost": {}, "timing": None,
        "identity": {}, "weights": "", "sha256": [],
    }  # fmt: skip
    vertices = rng.integers(-9000, 9000, size=(6, 3))
    hand = {"vertices": encode(vertices, "<i2"), "fit": [1, 0, 0, 0, 1, 0, 0, 0, 1, 1, *[0] * 6]}
    curve = {"thresholds_mm": [0.0, 25.0, 50.0], "pck": [0.0, 0.5, 1.0]}
    comparison = {
        "difference": cell(-1.5), "better_share": 0.8, "p_bootstrap": 0.01, "p_holm": 0.01,
        "verdict": "better",
    }  # fmt: skip
    metric = {"unit": "mm", "higher": False, "description": "mean error; PA", "compared": True,
              "reason": "", "id": "id"}  # fmt: skip
    return {
        "created": "now", "command": "handzoo compare", "protocol": {"id": "sample/evaluation"},
        "data": {"name": "d", "samples": 9, "sha256": "c" * 64},
        "settings": {"trials": 2, "budget": "2 epochs", "confidence": 0.95, "rounds": 3, "seed": 0,
                     "resamples": 100, "device": "cpu", "latency_batch_size": 1},
        "environment": {"versions": {"torch": "2"}, "platform": "Linux", "processor": NASTY,
                        "cpu_count": 2, "torch_threads": 1, "accelerators": []},
        "resources": [
            {"name": "hand_model", "status": "stand-in", "where": "", "how": "register",
             "note": "bundled"},
            {"name": "data/freihand", "status": "real", "where": "x", "how": "", "note": ""},
        ],
        "stand_ins": ["hand_model"], "warnings": ["Not on the real resources: hand_model."],
        "notes": [NASTY], "not_compared": {"EPE-2D": "other sizes"}, "compared": ["PA-MPJPE"],
        "failed": ["third"], "main_metric": "PA-MPJPE", "headlines": ["PA-MPJPE"],
        "metric_info": {"PA-MPJPE": metric,
                        "EPE-2D": {**metric, "compared": False, "reason": "other sizes"}},
        "figures": {
            "reference": "first",
            "metrics": {"PA-MPJPE": {"first": cell(9.0), "second": cell(7.5)},
                        "EPE-2D": {"first": cell(3.0)}},
            "comparisons": {"PA-MPJPE": {"second": comparison}},
            "joint_errors": {"track": "procrustes", "mm": {n: rng.uniform(1, 9, 21).tolist()
                                                          for n in ("first", "second")}},
        },
        "rows": [row("first"), row("second"), failed],
        "curves": {"PA-MPJPE": {"first": curve, "second": curve}},
        "joint_names": ["wrist", *(f"thumb_{i}" for i in range(20))],
        "gallery": {
            "unit_mm": 0.01, "hands": {"first": "bundled", "second": "bundled"},
            "faces": {"bundled": encode(np.array([[0, 1, 2], [3, 4, 5]]), "<u2")},
            "samples": [{
                "id": "17", "kinds": ["worst", "best"], "errors": {"first": 9.0, "second": 7.5},
                "image": "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
                "truth": {"vertices": hand["vertices"]},
                "models": {"first": hand, "second": hand},
            }],
        },
    }  # fmt: skip


class Links(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        names = ("src", "href", "action", "data", "srcset", "poster")
        self.found += [value for name, value in attrs if name in names and tag != "a"]


def test_the_page_is_whole_and_refuses_to_fetch():
    page = render(page_data())
    links = Links()
    links.feed(page)
    assert links.found == []
    assert "default-src 'none'" in page and "@import" not in page and "url(" not in page
    assert "@@" not in page


def test_what_data_say_is_text_and_never_markup():
    page = render(page_data() | {"notes": [NASTY, "@@SCRIPTS@@"]})
    assert NASTY not in page
    text = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(text)["notes"] == [NASTY, "@@SCRIPTS@@"]


def in_chromium(page: Path, profile: Path, script: str = "") -> str:
    """The page's elements after its scripts ran."""
    if script:
        text = page.read_text().replace("</body>", f"<script>{script}</script></body>")
        page = page.with_name("scripted.html")
        page.write_text(text)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.skipif(
    CHROMIUM is None, reason="needs the Chromium browser (Debian: apt-get install chromium)"
)
def test_chromium_draws_all_of_it(tmp_path):
    page = tmp_path / "report.html"
    page.write_text(render(page_data()))
    # What went wrong, whether canvases were painted, and what sorting does, as text in the page.
    probe = """
      const painted = [...document.querySelectorAll('#hands canvas')].map((c) =>
        c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0));
      const order = () => [...document.querySelectorAll('#table-main tbody tr')].map((r) => r.dataset.label).join();
      const before = order();
      [...document.querySelectorAll('#table-main th button')].find((b) => b.textContent.startsWith('latency')).click();
      document.body.append(`PROBE painted=${painted} before=${before} after=${order()} alerts=${document.querySelectorAll('img[src=x]').length} END`);
    """  # noqa: E501
    dom = in_chromium(page, tmp_path / "profile", probe)
    assert 'data-ready="true"' in dom, "a script of the page failed"
    found = re.search(r"PROBE (.*?) END", dom.rsplit("</script>", 1)[1])[1]
    assert found == (
        "painted=true,true,true before=first,second,third after=second,first,third alerts=0"
    )
    text = re.sub(r"<script.*?</script>|<[^>]+>", " ", dom, flags=re.DOTALL)
    for words in ("Not on the real resources", "better", "reference", "failed: CheckpointError",
                  "random weights", "stand-in", "hz_good 1.2", "9.00 ± 0.10", "8.10 – 9.90",
                  "not compared: other sizes", "handzoo compare"):  # fmt: skip
        assert words in text, words
    assert dom.count("<circle") >= 6  # two models in three scatters
    assert dom.count("<path") >= 2 and "6.3" in text
