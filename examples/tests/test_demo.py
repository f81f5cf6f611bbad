"""The demo in a real browser, at desktop and phone size."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By

from example import ALICE, PASSWORD, cargo_target
from server import Server, free_port, wait_until

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
# If set, screenshots are saved in this folder.
SCREENSHOTS = os.environ.get("SCREENSHOTS")
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars"
)


@pytest.fixture
def demo(server: Server, tmp_path: Path) -> Iterator[str]:
    """The URL of the running demo."""
    port = free_port()
    environment = os.environ | {"REDIS_URL": server.url, "PORT": str(port)}
    url = f"http://127.0.0.1:{port}/"
    program = cargo_target() / "debug" / "authlimit-demo"
    with (tmp_path / "demo.log").open("wb") as log:
        process = subprocess.Popen([program], env=environment, stdout=log, stderr=log)

    def answers() -> bool:
        assert process.poll() is None, (tmp_path / "demo.log").read_text()
        try:
            return httpx.get(url, trust_env=False).is_success
        except httpx.TransportError:
            return False

    wait_until("the demo answers", answers)
    yield url
    process.kill()
    process.wait()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Chrome]:
    """A browser with a new profile."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium and chromedriver here")
    options = ChromeOptions()
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(flag)
    options.binary_location = CHROMIUM or ""
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # With an explicit path, Selenium does not download a driver.
    browser = Chrome(options, ChromeService(DRIVER))
    yield browser
    browser.quit()


def text(browser: Chrome, element: str) -> str:
    """Returns the text of an element."""
    return browser.find_element(By.ID, element).text


def click(browser: Chrome, selector: str) -> None:
    """Clicks an element."""
    browser.find_element(By.CSS_SELECTOR, selector).click()


def type_into(browser: Chrome, element: str, words: str) -> None:
    """Replaces the content of a field."""
    field = browser.find_element(By.ID, element)
    field.clear()
    field.send_keys(words)


def sign_in(browser: Chrome, status: str) -> None:
    """Submits the form, waits for a new attempt in the history, and checks its status."""
    before = len(browser.find_elements(By.CSS_SELECTOR, "#history li"))
    click(browser, "#submit")
    wait_until("the response is shown", lambda: len(browser.find_elements(By.CSS_SELECTOR, "#history li")) > before)
    assert text(browser, "code") == status


def waiting(browser: Chrome) -> bool:
    """Returns whether the countdown is shown."""
    return browser.find_element(By.ID, "wait").is_displayed()


def look(browser: Chrome, name: str) -> None:
    """Checks that the page does not overflow, and saves screenshots in both colour schemes if requested."""
    script = cast(Any, browser).execute_script
    for width in (1280, 390):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        assert script("return document.documentElement.scrollWidth") <= width
        if SCREENSHOTS:
            tall = metrics | {"height": script("return document.documentElement.scrollHeight")}
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", tall)
            for scheme in ("light", "dark"):
                features = [{"name": "prefers-color-scheme", "value": scheme}]
                browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
                browser.save_screenshot(f"{SCREENSHOTS}/{name}-{width}-{scheme}.png")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_guesses_refusals_unlock_and_success(demo: str, browser: Chrome) -> None:
    """Five guesses; the sixth and seventh are refused; then unlock and a successful sign-in clear them."""
    browser.get(demo)
    wait_until("the rules are shown", lambda: "5 of 5 left" in text(browser, "rules"))
    look(browser, "start")
    for _ in range(5):
        sign_in(browser, "401")
    assert 'RateLimit: "signin";r=0;t=900' in text(browser, "headers")
    for _ in range(2):
        sign_in(browser, "429")
        assert "Retry-After: " in text(browser, "headers")
    wait_until("the countdown is shown", lambda: waiting(browser) and "14:" in text(browser, "countdown"))
    wait_until("the rule says so", lambda: "opens in 14:" in text(browser, "rules"))
    look(browser, "refused")
    # The correct password is refused too; but the owner can sign in from her own IP address.
    click(browser, "#right")
    sign_in(browser, "429")
    click(browser, "#address option:nth-child(2)")
    sign_in(browser, "200")
    click(browser, "#address option:nth-child(1)")
    click(browser, "#unlock")
    wait_until("the countdown is gone", lambda: not waiting(browser))

    type_into(browser, "password", "guess")
    for _ in range(4):
        sign_in(browser, "401")
    wait_until("one is left", lambda: "1 of 5 left" in text(browser, "rules"))
    type_into(browser, "password", PASSWORD)
    sign_in(browser, "200")
    wait_until("the attempts are cleared", lambda: "5 of 5 left" in text(browser, "rules"))
    look(browser, "forgiven")


def test_a_wait_ends_and_a_policy_is_changed(demo: str, browser: Chrome) -> None:
    """A short window ends; an invalid policy shows an error; and the page causes no errors of its own."""
    browser.get(demo)
    wait_until("the rules are shown", lambda: "5 of 5 left" in text(browser, "rules"))
    type_into(browser, "words", "PAIR 1/3s")
    click(browser, "#policy button[type=submit]")
    wait_until("the policy has changed", lambda: "1 of 1 left" in text(browser, "rules"))
    sign_in(browser, "401")
    wait_until("the wait begins", lambda: waiting(browser))
    wait_until("the wait is over", lambda: not waiting(browser) and "1 of 1 left" in text(browser, "rules"))
    sign_in(browser, "401")

    type_into(browser, "words", "PAIR 0/3s")
    click(browser, "#policy button[type=submit]")
    wait_until("the error is shown", lambda: text(browser, "policy-error") != "")

    # Refused attempts and the invalid policy are logged as failed requests; anything else is a bug of the page.
    log = cast(Any, browser).get_log("browser")
    foreign = [entry["message"] for entry in log if "the server responded with a status of 40" not in entry["message"]]
    assert foreign == []


def test_dns_rebinding_is_rejected(demo: str, server: Server) -> None:
    """DNS rebinding: a foreign host name that points at this machine can read and change nothing."""
    port = demo.rstrip("/").rpartition(":")[2]
    policy = server.policy("signin")
    foreign = ["attacker.example", "localhost.attacker.example", "127.0.0.1.attacker.example", "0.0.0.0", "192.0.2.1"]
    for host in [*foreign, *(f"{name}:{port}" for name in foreign), "127.0.0.1@attacker.example", ""]:
        headers = {"Host": host}
        for path in ("demo/policy", "demo/unlock", "signin"):
            body = {"words": "PAIR 99/1h", "ip": "127.0.0.1", "email": ALICE, "password": "guess"}
            answer = httpx.post(demo + path, json=body, headers=headers, trust_env=False)
            assert answer.status_code == 421, (host, path)
        for path in ("", "page.js", "demo/figures?ip=127.0.0.1&email=a"):
            assert httpx.get(demo + path, headers=headers, trust_env=False).status_code == 421, (host, path)
    assert server.policy("signin") == policy
    for host in ("localhost", f"LOCALHOST:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        body = {"words": "PAIR 99/1h"}
        answer = httpx.post(demo + "demo/policy", json=body, headers={"Host": host}, trust_env=False)
        assert answer.status_code == 204, host
    assert server.policy("signin") == "PAIR 99/1h"
