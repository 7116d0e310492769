"""Releases on a real engine: they are shown, compared, and gone back to with the very images that they had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

LARGER = {"SSE_MAX_BODY_BYTES": "200000"}


def current(stack: Stack) -> int:
    """The newest number of the stack; every run here is applied."""
    return max(int(path.stem) for path in (stack.state / "releases").glob("*/*.json"))


def images(stack: Stack) -> dict[str, str]:
    return {name: one.attrs["Image"] for name, one in stack.containers().items()}


def body_limit(stack: Stack) -> str:
    pairs = dict(one.split("=", 1) for one in stack.container("app-1").attrs["Config"]["Env"])
    return pairs.get("SSE_MAX_BODY_BYTES", "")


def play(stack: Stack, verb: str, *arguments: str, **variables: Any) -> str:
    run = stack.play(verb, *arguments, **variables)
    assert run.code == 0, run.output
    return run.output


def test_a_release_is_shown_compared_and_gone_back_to_and_forth(stack: Stack) -> None:
    first, before = current(stack), images(stack)
    planned = play(stack, "plan", app_environment_extra=LARGER)
    assert "~ it-app-1" in planned
    # NGINX, which gets the same limit, reloads beside one of them.
    without = planned.replace(", it-nginx", "").replace("it-nginx, ", "")
    assert "it-app-1; then it-app-2; then it-app-3" in without
    stack.up(app_environment_extra=LARGER, asked_why="larger events")
    second = current(stack)

    told = stack.live("releases")
    assert told["current"] == second
    newest = told["releases"][0]
    assert (newest["number"], newest["why"]) == (second, "larger events")
    assert {"container": "it-app-1", "kind": "replace", "what": ["environment.SSE_MAX_BODY_BYTES"]} in newest["changes"]
    assert f"./sse rollback {first}" in [one["back"] for one in told["releases"]]
    assert f"\n{second} (current)" in play(stack, "releases")
    assert f"Release {first}, applied" in play(stack, "releases", asked_words=["show", str(first)])
    change = "environment.SSE_MAX_BODY_BYTES: 262144 -> 200000"
    assert change in play(stack, "diff", asked_numbers=[str(first), str(second)])

    touched = stack.ids()
    assert "environment.SSE_MAX_BODY_BYTES: 200000 -> 262144" in play(stack, "rollback", "--check")
    refused = stack.play("rollback", asked_release=second + 7)
    assert refused.code != 0
    assert f"release {second + 7} is not kept: expected one of" in refused.output
    assert stack.ids() == touched

    assert "verified: " in play(stack, "rollback", asked_why="clients fail")
    assert (body_limit(stack), images(stack)) == ("262144", before)
    assert stack.live("releases")["releases"][0]["why"] == f"rollback to {first}: clients fail"

    # Its image comes back by id, also where nothing has its name any more.
    app = stack.engine.images.get(before["it-app-1"])
    references = app.tags  # builds from two places, such as a checkout and an archive, may end in one image
    app.tag("it-aside")
    for reference in references:
        stack.engine.images.remove(reference)
    try:
        play(stack, "rollback")
    finally:
        for reference in references:
            app.tag(reference)
        stack.engine.images.remove("it-aside")
    assert (body_limit(stack), images(stack)) == ("200000", before)
    assert "No drift" in play(stack, "drift")

    listed = play(stack, "releases")
    assert f"[rollback to {first}: clients fail]" in listed
    assert f"[rollback to {second}]" in listed
    history = play(stack, "history")
    assert "why: larger events" in history
    assert "why: clients fail" in history
