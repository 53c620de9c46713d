"""A function that must stand any bytes: fuzzed by `./dev fuzz`, and run over its corpus as a test."""

def fuzz_target(name, deps):
    """`NAME.cc` defines LLVMFuzzerTestOneInput; `corpus/NAME/` holds inputs worth keeping.

    Args:
      name: of the target; NAME_fuzzer is the program for clang, NAME_test the test.
      deps: what is fuzzed.
    """
    native.cc_library(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        deps = deps + [":requirement"],
    )
    native.cc_binary(
        name = name + "_fuzzer",
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        deps = [name],
    )
    native.cc_test(
        name = name + "_test",
        size = "small",
        srcs = ["replay.cc"],
        args = ["$(locations :%s_corpus)" % name],
        data = [":%s_corpus" % name],
        deps = [name],
    )
    native.filegroup(
        name = name + "_corpus",
        srcs = native.glob(["corpus/%s/*" % name]),
    )
