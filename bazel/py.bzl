"""Tests in Python, standard library only; those of the chart also use Debian's python3-yaml.

py_test needs packages a fresh Debian lacks; an sh_test that calls the
interpreter does not.
"""

def python_test(name, module, srcs, args = [], data = [], size = "small", **kwargs):
    """A test that is a Python module.

    Args:
      name: of the test.
      module: what `python3 -m` runs, dotted from the workspace root.
      srcs: the module and those it imports.
      args: for the module.
      data: files it reads.
      size: as for any test.
      **kwargs: passed to sh_test.
    """
    native.sh_test(
        name = name,
        size = size,
        srcs = ["//bazel:python_test.sh"],
        args = [module] + args,
        data = srcs + data,
        **kwargs
    )
