"""The pages that people read, and the blocks of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").glob("*.md")
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code: the page that it is in, its language, its text."""

    page: str
    language: str
    text: str

    def commands(self) -> list[str]:
        """The commands of a shell block, without comments, those over several lines as one."""
        lines = [line for line in self.text.splitlines() if line.strip() and not line.startswith("#")]
        return "\n".join(lines).replace("\\\n", "").splitlines()

    def __str__(self) -> str:
        return f"{self.page}: {self.text[:60]!r}"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(*languages: str) -> list[Block]:
    """All blocks of these languages."""
    matches = []
    for page in PAGES:
        for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if language in languages:
                matches.append(Block(name(page), language, dedent(text)))
    return matches
