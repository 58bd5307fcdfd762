"""Variants of one scenario: `arms` by name, a `matrix` of values, and the quick `smoke` variant of it all.

An arm is the base with its own overrides on top. The smoke variant and `--set` come after the arms: what they write
is taken out of the arms' overrides, so that laying those over the base gives the same as applying everything in turn,
and the resolved scenario can be written down as one base and its arms again.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from orchestrator.errors import Finding, KeyPath, dotted
from orchestrator.scenario.document import Document, NoPlaceError, leaves, overlaid, put, without

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.scenario.document import Plain

MAX_ARMS = 100
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_VARIANTS = ("arms", "matrix", "smoke")
#: What is the same in all arms: they are run in the same rounds, on the same topology.
_COMMON: tuple[KeyPath, ...] = (
    ("version",),
    ("name",),
    *((key,) for key in _VARIANTS),
    ("design",),
    ("topology", "placement"),
    ("service", "port"),
)
_SMOKE: dict[str, Plain] = {"design": {"blocks": 1}, "strategies": ["baseline", "kernel"], "claims": []}


class Variant(NamedTuple):
    """An arm's name, what it sets by dotted key, and the base with that laid over it; None names the base itself."""

    name: str | None
    set: dict[str, Plain]
    document: Document


@dataclass
class Variants:
    """The base, its arms, the keys that describe the arms in a resolved scenario, and what is wrong with these."""

    base: Document
    arms: list[Variant] = field(default_factory=list)
    keys: dict[str, Plain] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def with_smoke(document: Document) -> tuple[Document, list[Finding]]:
    """The quick variant of `document`: one block, baseline and kernel, no claims, then what `smoke` says itself."""
    smoke = document.data.get("smoke") or {}
    if not isinstance(smoke, dict):
        return document, [
            Finding(("smoke",), "is not a mapping of overrides", "write e.g. smoke: {workload: {requests: 500}}")
        ]
    findings: list[Finding] = [
        Finding(("smoke", key), "cannot be changed in the smoke variant", "remove it")
        for key in ("version", "name", "smoke")
        if key in smoke
    ]
    own = {key: value for key, value in smoke.items() if key not in _VARIANTS}
    quick = overlaid(document, _SMOKE, Document(document.file, _SMOKE), ())
    quick = overlaid(quick, own, document, ("smoke",))
    strategies, published = quick.data["strategies"], quick.data.get("published")
    if isinstance(published, dict) and isinstance(strategies, list):
        quick.data["published"] = {name: figures for name, figures in published.items() if name in strategies}
    written = [path for path, _ in [*leaves(_SMOKE), *leaves(own)]]
    findings += _settle(quick, [(path, ("smoke", *path)) for path in written], inside_too=True)
    variants: dict[str, Plain] = {key: smoke[key] for key in ("arms", "matrix") if key in smoke}
    return overlaid(quick, variants, document, ("smoke",)), findings


def settle_overrides(document: Document, paths: Sequence[KeyPath]) -> list[Finding]:
    """Give what `--set` wrote at `paths` precedence over the arms of `document`; where it cannot have it."""
    return _settle(document, [(path, path) for path in paths if path[0] not in _VARIANTS], inside_too=False)


def expand(document: Document) -> Variants:
    """The base of `document` and its arms."""
    base = Document(
        document.file,
        {key: value for key, value in document.data.items() if key not in _VARIANTS},
        dict(document.places),
        dict(document.written),
    )
    variants = Variants(base)
    if "arms" in document.data and "matrix" in document.data:
        variants.findings.append(Finding(("matrix",), "cannot be combined with arms", "keep one of them"))
    elif "arms" in document.data:
        _expand_arms(document, variants)
    elif "matrix" in document.data:
        _expand_matrix(document, variants)
    return variants


def _settle(document: Document, written: list[tuple[KeyPath, KeyPath]], *, inside_too: bool) -> list[Finding]:
    """Take from the arms what `written` (path, path in the file) overrides, and `inside_too` what it reaches into."""
    findings: list[Finding] = []
    listed = document.data.get("arms")
    arms: dict[str, Plain] = listed if isinstance(listed, dict) else {}
    for name, overrides in arms.items():
        if not isinstance(overrides, dict):
            continue
        paths = [path for path, _ in leaves(overrides)]
        settled = {path for path in paths if any(path[: len(target)] == target for target, _ in written)}
        for path in paths:
            reaching = [place for target, place in written if len(target) > len(path) and target[: len(path)] == path]
            if reaching and inside_too:
                settled.add(path)
            elif reaching and path not in settled:
                own = dotted(("arms", name, *reaching[0])).replace("[", ".").replace("]", "")
                message = f"arm {name} has its own {dotted(path)}"
                findings.append(Finding(reaching[0], message, f"write --set {own}=…"))
        arms[name] = without(overrides, settled)
    matrix = document.data.get("matrix")
    for key in matrix if isinstance(matrix, dict) else ():
        for target, place in written:
            if key.split(".") == [str(part) for part in target]:
                findings.append(
                    Finding(
                        place,
                        "is swept by matrix, every arm would be the same",
                        "set other values in the matrix instead",
                    )
                )
    return findings


def _expand_arms(document: Document, variants: Variants) -> None:
    arms = document.data["arms"]
    if not isinstance(arms, dict) or not arms:
        remedy = "write e.g. arms: {near: {hedging: {delay: 5ms}}, far: {hedging: {delay: 50ms}}}"
        variants.findings.append(Finding(("arms",), "is not a mapping of names to overrides", remedy))
        return
    if len(arms) > MAX_ARMS:
        variants.findings.append(Finding(("arms",), f"has {len(arms)} arms", f"write at most {MAX_ARMS}"))
        return
    overrides_by_name: dict[str, Plain] = {}
    variants.keys = {"arms": overrides_by_name}
    for name, overrides in arms.items():
        path: KeyPath = ("arms", name)
        if not NAME.fullmatch(name):
            remedy = "use lower-case letters, digits and hyphens, beginning with a letter or digit"
            variants.findings.append(Finding(path, f"{name!r} is not a valid name", remedy))
        elif overrides is not None and not isinstance(overrides, dict):
            variants.findings.append(
                Finding(path, "is not a mapping of overrides", "write e.g. {hedging: {delay: 5ms}}")
            )
        else:
            own = overrides or {}
            variants.findings += [
                Finding((*path, *common), "is the same in all arms", "write it outside of arms")
                for common in _COMMON
                if _has(own, common)
            ]
            laid = overlaid(variants.base, own, document, path)
            variants.arms.append(Variant(name, {".".join(map(str, key)): value for key, value in leaves(own)}, laid))
            overrides_by_name[name] = own


def _has(data: dict[str, Plain], path: KeyPath) -> bool:
    value: Plain = data
    for part in path:
        if not isinstance(value, dict) or part not in value:
            return False
        value = value[part]
    return True


def _expand_matrix(document: Document, variants: Variants) -> None:
    matrix = document.data["matrix"]
    if not isinstance(matrix, dict) or not 1 <= len(matrix) <= 2:
        remedy = "write e.g. matrix: {hedging.delay: [5ms, 10ms]}"
        variants.findings.append(Finding(("matrix",), "is not a mapping of one or two keys to values", remedy))
        return
    swept, findings = _swept(matrix)
    if findings:
        variants.findings += findings
        return
    variants.keys = {"matrix": matrix}
    labels = _labels(list(swept))
    names: set[str] = set()
    for chosen in itertools.product(*(enumerate(values) for values in swept.values())):
        name = ",".join(f"{label}={_format_value(value)}" for label, (_, value) in zip(labels, chosen, strict=True))
        last = ("matrix", list(swept)[-1], chosen[-1][0])
        if name in names:
            variants.findings.append(Finding(last, f"makes a second arm {name}", "write every value once"))
            continue
        names.add(name)
        laid = overlaid(variants.base, {}, document, ())
        for key, (index, value) in zip(swept, chosen, strict=True):
            written: KeyPath = ("matrix", key, index)
            try:
                put(laid, key.split("."), value, document.where(written), written)
            except NoPlaceError as error:
                no_place = error.finding
                finding = Finding(("matrix", key), f"{no_place.key} {no_place.message}", no_place.remedy)
                if finding not in variants.findings:
                    variants.findings.append(finding)
        settings: dict[str, Plain] = {key: value for key, (_, value) in zip(swept, chosen, strict=True)}
        variants.arms.append(Variant(name, settings, laid))


def _swept(matrix: dict[str, Plain]) -> tuple[dict[str, list[str | float]], list[Finding]]:
    """The values of each key of `matrix`, and what is wrong with them."""
    swept: dict[str, list[str | float]] = {}
    findings: list[Finding] = []
    arms = 1
    for key, values in matrix.items():
        path: KeyPath = ("matrix", key)
        parts = tuple(key.split("."))
        if not all(parts):
            findings.append(Finding(path, "is not a key of a scenario", "write e.g. hedging.delay"))
        if any(parts[: len(common)] == common for common in _COMMON):
            findings.append(Finding(path, "is the same in all arms", "sweep another key"))
        if not isinstance(values, list) or not values:
            findings.append(Finding(path, "is not a list of values", f"write e.g. {key}: [5ms, 10ms]"))
            continue
        swept[key] = [value for value in values if isinstance(value, str | int | float)]
        findings += [
            Finding((*path, index), "is not a single value", "use arms for what needs a mapping or a list")
            for index, value in enumerate(values)
            if not isinstance(value, str | int | float)
        ]
        arms *= len(values)
    if arms > MAX_ARMS:
        findings.append(Finding(("matrix",), f"makes {arms} arms", f"list fewer values, at most {MAX_ARMS} arms"))
    return swept, findings


def _labels(keys: list[str]) -> list[str]:
    """The shortest tails of `keys` that tell them apart, from the last component up."""
    parts = [key.split(".") for key in keys]
    length = 1
    while len({tuple(part[-length:]) for part in parts}) < len(parts):
        length += 1
    return [".".join(part[-length:]) for part in parts]


def _format_value(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
