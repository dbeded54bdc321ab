"""Takes pictures of Home Assistant's frontend, with Debian's Chromium.

usage: browser.py <ORDER.json     in an environment of its own that has playwright

The order: {"url": ..., "tokens": what a browser keeps after login, "pictures": [{"file": ..., "path": ...,
"steps": [["click", "button's name", which], ["fill", "field's label", "text"], ["wait", seconds]], "height": ...}]}
"""

import json
import sys

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
QUIET = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]
SETTLED_MS = 4000  # after everything is loaded, graphs are drawn with a movement


def do(page: Page, step: list) -> None:
    match step:
        case ["click", name, index]:
            page.get_by_role("button", name=name, exact=True).nth(index).click()
        case ["click text", text]:
            page.get_by_text(text, exact=True).last.click()
        case ["fill", label, text]:
            page.get_by_label(label).last.fill(text)
        case ["wait", seconds]:
            page.wait_for_timeout(1000 * seconds)


def main() -> None:
    order = json.load(sys.stdin)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        page.goto(f"{order['url']}/manifest.json")  # of the same origin: the session has to be there before the app
        page.evaluate("tokens => localStorage.setItem('hassTokens', JSON.stringify(tokens))", order["tokens"])
        for picture in order["pictures"]:
            page.set_viewport_size({"width": 1280, "height": picture.get("height", 900)})
            page.goto(f"{order['url']}{picture['path']}")
            page.wait_for_selector("home-assistant >> home-assistant-main", state="attached", timeout=60_000)
            page.wait_for_timeout(SETTLED_MS)
            for step in picture.get("steps", []):
                do(page, step)
                page.wait_for_timeout(1500)
            page.screenshot(path=picture["file"])
            print(picture["file"], flush=True)
        browser.close()


if __name__ == "__main__":
    main()
