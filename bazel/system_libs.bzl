"""Wraps libraries and code generators installed by the distribution.

Headers live in /usr/include, which is a built-in include directory of the
auto-configured toolchain, so nothing is declared as `hdrs`; a library is its
link flags plus a define carrying the Debian revision, which puts the revision
into the action keys of everything built on top of it.
"""

def _dpkg_version(ctx, deb):
    res = ctx.execute(["dpkg-query", "-W", "-f", "${Version}", deb])
    if res.return_code != 0:
        fail("%s: %s is not installed; run: apt-get install %s" % (ctx.name, deb, deb))
    return res.stdout.strip()

def _identifier(text):
    return "".join([c if c.isalnum() else "_" for c in text.elems()])

def _system_library_impl(ctx):
    version = _dpkg_version(ctx, ctx.attr.deb)
    if ctx.attr.pkg_config and ctx.attr.min_version:
        res = ctx.execute(["pkg-config", "--atleast-version=" + ctx.attr.min_version, ctx.attr.pkg_config])
        if res.return_code != 0:
            fail("%s: %s >= %s is required; installed: %s %s" %
                 (ctx.name, ctx.attr.pkg_config, ctx.attr.min_version, ctx.attr.deb, version))
    for header in ctx.attr.headers:
        if not ctx.path("/usr/include/" + header).exists:
            fail("%s: /usr/include/%s is missing" % (ctx.name, header))

    includes = []
    for i, d in enumerate(ctx.attr.include_dirs):
        ctx.symlink(d, "include/%d" % i)
        includes.append("include/%d" % i)

    linkopts = []
    if ctx.attr.libs:
        # --as-needed must be explicit: bazel's toolchain passes -no-as-needed.
        linkopts = ["-Wl,--push-state,--as-needed"] + ["-l" + l for l in ctx.attr.libs] + ["-Wl,--pop-state"]

    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file("BUILD.bazel", """package(default_visibility = ["//visibility:public"])

cc_library(
    name = "lib",
    hdrs = glob({globs}, allow_empty = True),
    includes = {includes},
    defines = {defines},
    linkopts = {linkopts},
    deps = {deps},
)
""".format(
        globs = repr([d + "/**/*.h" for d in includes]),
        includes = repr(includes),
        defines = repr(["SYSLIB_%s=%s" % (_identifier(ctx.name).upper(), "v" + _identifier(version))]),
        linkopts = repr(linkopts),
        deps = repr(ctx.attr.cc_deps),
    ))

system_library = repository_rule(
    implementation = _system_library_impl,
    local = True,  # re-evaluated whenever the server starts, so apt upgrades are seen
    configure = True,
    attrs = {
        "cc_deps": attr.string_list(),
        "deb": attr.string(mandatory = True),
        "headers": attr.string_list(doc = "relative to /usr/include; must exist"),
        "include_dirs": attr.string_list(),
        "libs": attr.string_list(),
        "min_version": attr.string(),
        "pkg_config": attr.string(),
    },
)

def _system_tools_impl(ctx):
    lines = ["package(default_visibility = [\"//visibility:public\"])\n"]
    for name, deb in ctx.attr.tools.items():
        path = ctx.which(name)
        if not path:
            fail("%s not found on PATH; run: apt-get install %s" % (name, deb))
        ctx.symlink(path, "bin/" + name)
        ctx.file("version/" + name, _dpkg_version(ctx, deb) + "\n")
        lines.append("filegroup(name = \"{n}\", srcs = [\"bin/{n}\"])".format(n = name))
        lines.append("filegroup(name = \"{n}_version\", srcs = [\"version/{n}\"])".format(n = name))
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file("BUILD.bazel", "\n".join(lines) + "\n")

system_tools = repository_rule(
    implementation = _system_tools_impl,
    local = True,
    configure = True,
    attrs = {"tools": attr.string_dict(mandatory = True, doc = "program -> Debian package")},
)

def system_dependencies():
    system_library(
        name = "absl",
        deb = "libabsl-dev",
        pkg_config = "absl_base",
        min_version = "20220623",
        libs = ["absl_" + m for m in [
            "flags_parse",
            "flags_usage",
            "flags_usage_internal",
            "flags_reflection",
            "flags_marshalling",
            "flags_internal",
            "flags_config",
            "flags_program_name",
            "flags_commandlineflag",
            "flags_commandlineflag_internal",
            "flags_private_handle_accessor",
            "failure_signal_handler",
            "symbolize",
            "stacktrace",
            "examine_stack",
            "raw_hash_set",
            "hashtablez_sampler",
            "hash",
            "city",
            "low_level_hash",
            "random_distributions",
            "random_seed_sequences",
            "random_internal_pool_urbg",
            "random_internal_randen",
            "statusor",
            "status",
            "cord",
            "cordz_info",
            "cord_internal",
            "cordz_functions",
            "cordz_handle",
            "str_format_internal",
            "synchronization",
            "time",
            "time_zone",
            "civil_time",
            "bad_optional_access",
            "bad_variant_access",
            "bad_any_cast_impl",
            "strings",
            "strings_internal",
            "int128",
            "throw_delegate",
            "raw_logging_internal",
            "log_severity",
            "spinlock_wait",
            "base",
        ]],
    )
    system_library(name = "re2", deb = "libre2-dev", pkg_config = "re2", libs = ["re2"])
    system_library(name = "protobuf", deb = "libprotobuf-dev", pkg_config = "protobuf", min_version = "3.21", libs = ["protobuf"])
    system_library(
        name = "grpc",
        deb = "libgrpc++-dev",
        pkg_config = "grpc++",
        min_version = "1.51",
        libs = ["grpc++", "grpc", "gpr"],
        cc_deps = ["@protobuf//:lib"],
    )
    system_library(name = "grpc_reflection", deb = "libgrpc++-dev", headers = ["grpcpp/ext/proto_server_reflection_plugin.h"], libs = ["grpc++_reflection"], cc_deps = ["@grpc//:lib"])
    system_library(name = "grpc_channelz", deb = "libgrpc++-dev", headers = ["grpcpp/ext/channelz_service_plugin.h"], libs = ["grpcpp_channelz"], cc_deps = ["@grpc//:lib"])
    system_library(name = "libpq", deb = "libpq-dev", pkg_config = "libpq", min_version = "15", include_dirs = ["/usr/include/postgresql"], libs = ["pq"])
    system_library(name = "nats", deb = "libnats-dev", pkg_config = "libnats", min_version = "3.4", libs = ["nats"])
    system_library(name = "prometheus_cpp", deb = "prometheus-cpp-dev", pkg_config = "prometheus-cpp-core", min_version = "1.0", libs = ["prometheus-cpp-core"])
    system_library(name = "catch2", deb = "catch2", pkg_config = "catch2", min_version = "2.13", headers = ["catch2/catch.hpp"])
    system_library(name = "nlohmann_json", deb = "nlohmann-json3-dev", headers = ["nlohmann/json.hpp"])
    system_library(name = "cli11", deb = "libcli11-dev", headers = ["CLI/CLI.hpp"])
    system_library(name = "yaml_cpp", deb = "libyaml-cpp-dev", pkg_config = "yaml-cpp", libs = ["yaml-cpp"])
    system_library(name = "sodium", deb = "libsodium-dev", pkg_config = "libsodium", libs = ["sodium"])
    system_library(name = "archive", deb = "libarchive-dev", pkg_config = "libarchive", libs = ["archive"])
    system_library(name = "openssl", deb = "libssl-dev", pkg_config = "openssl", libs = ["ssl", "crypto"])
    system_library(name = "boost", deb = "libboost1.81-dev", headers = ["boost/beast/core.hpp"], libs = ["pthread"])
    system_tools(name = "system_tools", tools = {
        "protoc": "protobuf-compiler",
        "grpc_cpp_plugin": "protobuf-compiler-grpc",
        "openssl": "openssl",
    })
