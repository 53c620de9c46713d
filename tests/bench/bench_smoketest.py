"""Every benchmark once, tiny: the suite and the baseline deliver every event, whatever the speed."""

import unittest

from tests.bench import bench


class SmokeTest(unittest.TestCase):
    """One test for each; a lost, doubled or foreign event ends it with a Problem."""


def _test(name):
    def run(self):
        options = bench.Options(pairs=1, scale=0.001, watches=(3,))
        for result in bench.BENCHES[name](options):
            self.assertTrue(result.median() or result.samples)
    return run


for _name in bench.BENCHES:
    setattr(SmokeTest, f"test_{_name.replace('-', '_')}", _test(_name))


if __name__ == "__main__":
    unittest.main()
