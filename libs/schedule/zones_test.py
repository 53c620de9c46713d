"""Schedules around every change of every clock from 2000 to 2037, against what zdump says of the clocks.

zdump is the C library's reading of the zone database; the rules are computed anew below. A time on the wall that
a change skips runs at the change; one that the clocks show twice runs once, at the first.
"""

import calendar
import datetime
import os
import pathlib
import re
import subprocess
import unittest
import zoneinfo

_FIRST, _END = 2000, 2038
_LINE = re.compile(r"^(\S+) +\w+ (\w+ +\d+ [\d:]+ \d+) UT = .* gmtoff=(-?\d+)$", re.M)
_DATABASE = pathlib.Path("/usr/share/zoneinfo")
_DAY = 24 * 3600
_WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def _zones():
    """The names of every zone, by the bytes of its file: many are another name of the same clocks."""
    zones = {}
    for zone in sorted(zoneinfo.available_timezones() - {"localtime"}):
        zones.setdefault((_DATABASE / zone).read_bytes(), []).append(zone)
    return list(zones.values())


def _clocks():
    """[(zones, ((begin, offset), ...)), ...]: how far the clocks are ahead of UTC from when on."""
    zones = _zones()
    told = subprocess.run(["zdump", "-V", "-c", f"{_FIRST},{_END}", *[names[0] for names in zones]],
                          capture_output=True, text=True, check=True)
    found = {names[0]: [] for names in zones}
    for zone, text, offset in _LINE.findall(told.stdout):
        moment = calendar.timegm(datetime.datetime.strptime(text, "%b %d %H:%M:%S %Y").timetuple())
        found[zone].append((moment, int(offset)))
    clocks = []
    for names in zones:
        lines = found[names[0]]
        if not lines:
            always = datetime.datetime(_FIRST, 1, 1, tzinfo=zoneinfo.ZoneInfo(names[0])).utcoffset()
            lines = [(0, int(always.total_seconds()))]
        # Lines come in pairs: the last second of one offset and the first of the next.
        clocks.append((names, ((-10**12, lines[0][1]), *lines[1::2])))
    return clocks


class Clock:
    """What a schedule means on clocks that change."""

    def __init__(self, offsets):
        self.offsets = offsets

    def changes(self):
        """(moment, offset before, offset after) of every change of the offset."""
        return [(begin, before, after) for (_, before), (begin, after) in zip(self.offsets, self.offsets[1:])
                if before != after]

    def near(self, moment):
        """The pieces (begin, end, offset) that a time on the wall within days of the moment can lie in."""
        ends = [begin for begin, _ in self.offsets[1:]] + [10**12]
        return [(begin, end, offset) for (begin, offset), end in zip(self.offsets, ends)
                if end > moment - 9 * _DAY and begin < moment + 9 * _DAY]


def _runs(pieces, walls):
    """When the times on the wall (in seconds since 1970 as if in UTC) run, rising, each once."""
    found = set()
    for wall in walls:
        shown = [wall - offset for begin, end, offset in pieces if begin <= wall - offset < end]
        skipped = [begin for (_, _, before), (begin, _, after) in zip(pieces, pieces[1:])
                   if begin + before <= wall < begin + after]
        found.add(min(shown or skipped))
    return sorted(found)


def _questions(moment, before, after):
    """(after, count, fields of the schedule, its times on the wall) around one change."""
    low, high = moment + min(before, after), moment + max(before, after)
    middle = (low + high) // 120 * 60
    days = [(low // _DAY + day) * _DAY for day in range(-3, 7)]
    for wall in sorted({low, low + 60, middle, high - 60, low - 60, high}):
        minute, hour = wall // 60 % 60, wall // 3600 % 24
        daily = [day + wall % _DAY for day in days]
        yield moment - 26 * 3600, 4, f"{minute} {hour} * * *", daily
        if wall == middle:
            for second in (-1, 0, 1):
                yield moment + second, 2, f"{minute} {hour} * * *", daily
            weekday = (wall // _DAY + 3) % 7  # 1970 began on a Thursday
            weekly = [wall + week * 7 * _DAY for week in (-1, 0, 1)]
            yield moment - 2 * _DAY, 1, f"{minute} {hour} * * {_WEEKDAYS[weekday]}", weekly
    often = [day + step * 1200 for day in days[2:6] for step in range(72)]
    yield moment - 3 * 3600, 20, "*/20 * * * *", often


class ZonesTest(unittest.TestCase):
    def test_every_zone_and_every_change(self):
        asked, expected, changes = [], [], 0
        clocks = _clocks()
        for zones, offsets in clocks:
            clock = Clock(offsets)
            for change in clock.changes() or [(1_000_000_020, offsets[0][1], offsets[0][1])]:
                changes += len(zones)
                pieces = clock.near(change[0])
                for after, count, fields, walls in _questions(*change):
                    runs = [run for run in _runs(pieces, walls) if run > after][:count]
                    self.assertEqual(len(runs), count)
                    for zone in zones:
                        asked.append(f"{after} {count} CRON_TZ={zone} {fields}")
                        expected.append(" ".join(map(str, runs)))
        done = subprocess.run([os.environ["NEXT_RUNS"]], input="\n".join(asked) + "\n", capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        answers = done.stdout.splitlines()
        self.assertEqual(len(answers), len(asked))
        wrong = [f"{question}: {answer}, not {right}"
                 for question, answer, right in zip(asked, answers, expected) if answer != right]
        print(f"{sum(len(zones) for zones, _ in clocks)} zones, {changes} changes of their clocks, {len(asked)} schedules, "
              f"{len(wrong)} mismatches")
        self.assertGreater(changes, 10_000)
        self.assertEqual(wrong[:20], [])


if __name__ == "__main__":
    unittest.main()
