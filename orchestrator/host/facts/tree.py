"""Files of /proc and /sys, any of which may be missing, closed to us or empty: None stands for all three."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Tree:
    """The files below `root`: a host's own, or a copy of some of them."""

    root: Path = Path("/")

    def text(self, path: str) -> str | None:
        """What the file at `path` (without a leading slash) says, stripped; None where it says nothing."""
        try:
            return (self.root / path).read_text(errors="replace", encoding="utf-8").strip() or None
        except OSError:
            return None

    def number(self, path: str) -> int | None:
        """The decimal number in the file at `path`; None where there is none."""
        return as_number(self.text(path))

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`."""
        try:
            return (self.root / path).exists()
        except OSError:
            return False

    def paths(self, pattern: str) -> list[str]:
        """The paths that match the glob `pattern`, numbers in them in their order (cpu2 before cpu10)."""
        try:
            found = [str(path.relative_to(self.root)) for path in self.root.glob(pattern)]
        except OSError:
            return []
        return sorted(found, key=lambda path: (len(path), path))


def as_number(text: str | None) -> int | None:
    """`text` as a decimal number, None where it is none."""
    try:
        return None if text is None else int(text)
    except ValueError:
        return None
