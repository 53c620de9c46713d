"""Median of paired ratios and how sure it is."""

import random
import statistics

_RESAMPLES = 4000


def interval(ratios, share=0.9, seed=1):
    """The bootstrap interval of the median: what `share` of resampled medians lie within."""
    generator = random.Random(seed)
    medians = sorted(statistics.median(generator.choices(ratios, k=len(ratios))) for _ in range(_RESAMPLES))
    cut = (1 - share) / 2
    return medians[int(cut * _RESAMPLES)], medians[int((1 - cut) * _RESAMPLES) - 1]


class Ratio:
    """Pairs of (ours, baseline) of one quantity, and what they say against a floor and a goal.

    `at_least`: the ratio is to be at or above floor and goal, else at or below.
    """

    def __init__(self, name, unit, floor, goal, at_least=True):
        self.name, self.unit, self.floor, self.goal, self.at_least = name, unit, floor, goal, at_least
        self.pairs = []

    def add(self, ours, baseline):
        """One pair, measured one after the other."""
        self.pairs.append((ours, baseline))

    def ratios(self):
        """One for each pair."""
        return [ours / baseline for ours, baseline in self.pairs]

    def median(self):
        """Of the ratios."""
        return statistics.median(self.ratios())

    def bounds(self):
        """The 90 % interval of the median."""
        return interval(self.ratios())

    def verdict(self):
        """What the interval's worse end reaches: "goal", "floor" or "missed"."""
        low, high = self.bounds()
        for name, mark in (("goal", self.goal), ("floor", self.floor)):
            if (low >= mark) if self.at_least else (high <= mark):
                return name
        return "missed"


class Bound:
    """Samples of one quantity that is judged by itself: its median against a floor and a goal, both upper limits."""

    def __init__(self, name, unit, floor, goal):
        self.name, self.unit, self.floor, self.goal = name, unit, floor, goal
        self.samples = []

    def add(self, value):
        """One sample."""
        self.samples.append(value)

    def median(self):
        """Of the samples."""
        return statistics.median(self.samples)

    def verdict(self):
        """What the median reaches: "goal", "floor" or "missed"."""
        if self.median() <= self.goal:
            return "goal"
        return "floor" if self.median() <= self.floor else "missed"
