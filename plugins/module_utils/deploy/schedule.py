# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""When backups are made: `hourly`, `daily 03:30` or `weekly sunday 03:30`, for systemd and for cron."""

from __future__ import annotations

from typing import NamedTuple

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")  # as cron counts them
SECONDS = {"hourly": 3600, "daily": 86400, "weekly": 604800}
TIME = "03:30"  # in the night, and not at midnight, when much else runs
MINUTE = ":30"


class Schedule(NamedTuple):
    """A moment that comes again, by the clock of the host."""

    every: str
    day: int
    hour: int
    minute: int

    @property
    def seconds(self) -> int:
        """The time from one to the next."""
        return SECONDS[self.every]

    @property
    def calendar(self) -> str:
        """As systemd writes it (systemd.time(7))."""
        if self.every == "hourly":
            return f"*-*-* *:{self.minute:02}:00"
        day = f"{DAYS[self.day][:3].capitalize()} " if self.every == "weekly" else ""
        return f"{day}*-*-* {self.hour:02}:{self.minute:02}:00"

    @property
    def cron(self) -> str:
        """As cron writes it (crontab(5))."""
        hour = "*" if self.every == "hourly" else self.hour
        return f"{self.minute} {hour} * * {self.day if self.every == 'weekly' else '*'}"


def parse(text: str) -> Schedule:
    """Read a value of backup_schedule, which was checked before."""
    every, *rest = text.split()
    day = DAYS.index(rest.pop(0)) if every == "weekly" and rest else 0
    hour, __, minute = (rest[0] if rest else MINUTE if every == "hourly" else TIME).partition(":")
    return Schedule(every, day, int(hour or 0), int(minute))
