"""What runs need of this host, looked at beforehand: each check says what it found and what would help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.doctor import checks
from orchestrator.doctor.docker import look_at_docker
from orchestrator.doctor.noise import look_at_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from orchestrator.doctor.checks import Check

#: In the order in which their remedies are best followed.
_LOOKS: tuple[Callable[[], Iterator[Check]], ...] = (
    checks.look_at_root,
    checks.look_at_kernel,
    checks.look_at_tools,
    checks.look_at_bcc,
    checks.look_at_hedger,
    look_at_docker,
    look_at_noise,
    checks.look_at_control_groups,
    checks.look_at_open_runs,
)


def examine() -> list[Check]:
    """All checks."""
    return [check for look in _LOOKS for check in look()]
