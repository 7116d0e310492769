from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from sse_app.log.duplicates import Window
from sse_app.log.interface import Draft, Record


def record(offset: int, timestamp: int, key: str) -> Record:
    return Record(offset, timestamp, "0" * 8, Draft(key.encode(), "c", "message", b"", b""))


history = st.lists(st.tuples(st.integers(0, 3000), st.sampled_from("abcdef")), max_size=60)


@settings(max_examples=300)
@given(history, st.integers(0, 60))
def test_a_reader_that_starts_later_decides_the_same_once_its_window_is_whole(
    steps: list[tuple[int, str]], begin: int
) -> None:
    timestamp, records = 0, list[Record]()
    for offset, (step, key) in enumerate(steps):
        timestamp += step
        records.append(record(offset, timestamp, key))
    early, late = Window(8, 10), Window(8, 10)
    for one in records:
        decided = early.admit(one) is not None
        if one.offset >= begin:
            same = late.admit(one) is not None
            if late.complete:
                assert same == decided


def test_a_duplicate_is_dropped_within_so_many_offsets_of_any_occurrence_and_names_the_first() -> None:
    window = Window(2, 600)
    decided = [window.admit(record(offset, 0, key)) for offset, key in enumerate("aabxayza")]
    assert decided == [None, 0, None, None, None, None, None, None]
    window.clear()
    assert [window.admit(record(offset, 0, key)) for offset, key in enumerate("axaxax")] == [None, None, 0, 1, 0, 1]


def test_a_key_is_forgotten_after_so_many_seconds() -> None:
    window = Window(100, 10)
    assert [window.admit(record(n, t, "a")) for n, t in enumerate([0, 10_000, 20_000, 30_001])] == [None, 0, 0, None]


def test_records_without_a_key_are_never_duplicates() -> None:
    window = Window(100, 10)
    assert [window.admit(record(offset, 0, "")) for offset in range(3)] == [None] * 3


def test_a_trimmed_log_is_trusted_again_after_the_window_in_offsets_or_in_time() -> None:
    by_offset, by_time = Window(3, 600), Window(100, 10)
    complete = [(by_offset.admit(record(offset, 0, str(offset))), by_offset.complete)[1] for offset in range(50, 55)]
    assert complete == [False, False, False, True, True]
    complete = [
        (by_time.admit(record(50 + n, t, str(n))), by_time.complete)[1] for n, t in enumerate([5, 10_005, 10_006])
    ]
    assert complete == [False, False, True]


def test_memory_is_bounded_by_the_window() -> None:
    window = Window(10, 600)
    for offset in range(1000):
        window.admit(record(offset, 0, str(offset)))
    assert window.find(b"999") is not None
    assert window.find(b"980") is None


def test_what_a_window_keeps_of_a_record_is_bounded_whatever_its_key_is() -> None:
    """Other programs may write to the topic: keys of a megabyte ended every replica for its memory, again and again."""
    window = Window(100, 600)

    def long(offset: int, name: int) -> Record:
        return record(offset, 0, "k" * 1_000_000 + str(name))

    tracemalloc.start()
    try:
        assert [window.admit(long(offset, offset % 50)) for offset in range(100)] == [*[None] * 50, *range(50)]
        window.admit(record(100, 0, "d")._replace(draft=Draft(b"d", "c", "message", b"", b"d" * 1_000_000)))
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
    found = window.find(long(0, 7).draft.key)
    assert found is not None
    assert (found.first, found.last) == (7, 57)
    assert window.find(b"k" * 1_000_000) is None
    kept = next(key for key in window._seen if len(key) > 128)
    assert window.find(kept) is None  # a hash is the key of nobody
