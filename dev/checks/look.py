"""Pictures of the pages of a running dev/checks/crm_here.py, to look at.

    .venv/bin/python dev/checks/look.py FOLDER /orders /sites/3 … [--widths 360,1280] [--schemes light,dark]

Each page is taken whole, and what is wrong at first sight is told: sideways scrolling, errors of scripts,
requests to anywhere else.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from urllib.parse import urlsplit

import browsing


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pages", nargs="+")
    parser.add_argument("--port", type=int, default=8123)
    parser.add_argument("--role", default="owner")
    parser.add_argument("--widths", default="360,1280")
    parser.add_argument("--schemes", default="light,dark")
    parser.add_argument("--language", default="en")
    parser.add_argument("--height", type=int, default=0, help="cut the pictures off; 0 takes the whole page")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    base = f"http://acme.localhost:{options.port}"
    with browsing.chromium(urlsplit(base).netloc, options.port) as browser:
        for scheme in options.schemes.split(","):
            for width in map(int, options.widths.split(",")):
                context = browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme, locale=options.language
                )
                page = context.new_page()
                page.on("pageerror", lambda error: print("script:", error))
                page.on("console", lambda message: message.type == "error" and print("told:", message.text))
                page.on("request", lambda asked: asked.url.startswith(base) or print("foreign:", asked.url))
                page.goto(f"{base}/as/{options.role}")
                for address in options.pages:
                    page.goto(base + address)
                    wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    if wide > 0:
                        print(f"{address} at {width}: {wide} px too wide")
                    name = re.sub(r"\W+", "-", address).strip("-") or "inbox"
                    target = options.folder / f"{name}-{width}-{scheme}.png"
                    if options.height:
                        clip = {"x": 0, "y": 0, "width": width, "height": options.height}
                        page.screenshot(path=target, clip=clip, full_page=True)  # type: ignore[arg-type]
                    else:
                        page.screenshot(path=target, full_page=True)
                context.close()


if __name__ == "__main__":
    main()
