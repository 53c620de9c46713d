"""What ratios and their intervals say."""

import unittest

from tests.bench import stats


def ratio(pairs, **options):
    made = stats.Ratio("x", "events/s", 0.6, 1.0, **options)
    for ours, baseline in pairs:
        made.add(ours, baseline)
    return made


class RatioTest(unittest.TestCase):
    def test_the_median_is_that_of_the_ratios_and_not_the_ratio_of_medians(self):
        self.assertEqual(ratio([(1, 2), (30, 10), (4, 4)]).median(), 1.0)

    def test_equal_pairs_leave_no_doubt(self):
        self.assertEqual(ratio([(2, 1)] * 7).bounds(), (2.0, 2.0))

    def test_one_wild_pair_of_seven_does_not_move_the_interval(self):
        low, high = ratio([(1, 1)] * 6 + [(50, 1)]).bounds()
        self.assertEqual((low, high), (1.0, 1.0))

    def test_the_worse_end_of_the_interval_decides(self):
        self.assertEqual(ratio([(2, 1)] * 7).verdict(), "goal")
        self.assertEqual(ratio([(8, 10)] * 7).verdict(), "floor")
        self.assertEqual(ratio([(5, 10)] * 3 + [(20, 10)] * 4).verdict(), "missed")

    def test_a_ratio_that_is_to_be_small_is_judged_by_its_upper_end(self):
        small = {"at_least": False}
        made = stats.Ratio("x", "KB", 1.3, 1.1, **small)
        for ours in (1.2, 1.2, 1.0):
            made.add(ours, 1.0)
        self.assertEqual(made.verdict(), "floor")

    def test_the_same_samples_give_the_same_interval(self):
        pairs = [(index + 1, 3) for index in range(9)]
        self.assertEqual(ratio(pairs).bounds(), ratio(pairs).bounds())


class BoundTest(unittest.TestCase):
    def test_the_median_decides(self):
        bound = stats.Bound("x", "KB", 50, 40)
        for sample in (39, 45, 300):
            bound.add(sample)
        self.assertEqual(bound.verdict(), "floor")


if __name__ == "__main__":
    unittest.main()
