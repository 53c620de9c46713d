"""What tests are told through Bazel's --test_env."""

import os


def program(variable):
    """The path in a variable that ./dev test sets; a missing one fails the test."""
    if not os.environ.get(variable):
        raise AssertionError(f"{variable} is not set; run the tests with ./dev test, which sets it")
    return os.environ[variable]
