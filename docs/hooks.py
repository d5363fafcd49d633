"""What mkdocs does beside its plugins: files of the repository that a page links to become files of the site.

A link from docs/ to `../vicreg/nn/method.py` leads there on a code forge. The site has no repository beside it, so the
file is copied into it, under `repository/`; texts as .txt, which browsers show. Folders lose their link.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(!?\[[^\]]*\]\()\.\./([^)#\s]+)(#[^)\s]*)?\)")
LINKED_IMAGE = re.compile(r"\[(!\[[^\]]*\]\([^)]*\))\]\(\.\./([^)\s]+)\)")
SHOWN = (".html", ".svg", ".png", ".csv", ".json")  # browsers show these as they are


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Point links to the repository's files at their copies."""

    def address(path: str) -> str:
        copied = PurePosixPath("repository") / path
        if copied.suffix not in SHOWN:
            copied = copied.with_name(f"{copied.name}.txt")
        if files.get_file_from_path(str(copied)) is None:
            files.append(File.generated(config, str(copied), abs_src_path=str(ROOT / path)))
        return str(copied)

    def replaced(match: re.Match[str]) -> str:
        before, path, anchor = match.groups()
        if (ROOT / path).is_dir():
            return before.removesuffix("](").removeprefix("[")
        return f"{before}{address(path)}{anchor or ''})"

    markdown = LINKED_IMAGE.sub(lambda match: f"[{match[1]}]({address(match[2])})", markdown)
    return LINK.sub(replaced, markdown)
