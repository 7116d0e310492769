# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What will fail though it works now: certificates that end, and what services say of themselves."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding


def certificates_count(facts: Facts) -> Iterator[Finding]:
    """Check that each certificate counts, and for long enough to get another one."""
    for one in facts["certificates"]:
        if problem := one.problem(facts["now"]):
            evidence = f"asked at port {one.port} of {one.container}"
            mend = ("# files of your own: put new ones into their place", "./sse up")
            yield Finding("certificate", one.container, problem, evidence, mend)


def services_have_no_problem(facts: Facts) -> Iterator[Finding]:
    """Pass on what services say of themselves."""
    for one in facts["told"]:
        mend = one.mend or commands.show_log(one.container)
        evidence = f"it says so at {one.url}" if one.url else "asked from within it"
        yield Finding("told", one.container, one.problem, evidence, (mend,))


RULES = (certificates_count, services_have_no_problem)
