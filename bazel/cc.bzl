"""The rooms of the code base as build rules.

Each macro makes a cc_library and refuses dependencies outside the room's
doors; ARCHITECTURE.md explains the rooms.  What a dependency graph cannot see
is checked by //tests/rooms.
"""

_WIRE = ["@grpc//", "@grpc_reflection//", "@grpc_channelz//", "//protos/"]
_DRIVERS = ["@libpq//", "@nats//", "//libs/pg", "//libs/jetstream:", "//libs/storage/postgres"]

# room -> label prefixes it may not depend on
_CLOSED_DOORS = {
    "adapter": ["@grpc_reflection//"],
    "domain": _WIRE + _DRIVERS + ["@protobuf//", "@prometheus_cpp//", "//libs/storage", "//libs/server", "//libs/clock", "//services/"],
    "edge": _DRIVERS,
    "flow": _DRIVERS + ["@grpc_reflection//"],
    "port": _WIRE + _DRIVERS + ["//libs/server", "//services/"],
}

def _room_library(room, name, deps, **kwargs):
    for dep in deps:
        for door in _CLOSED_DOORS[room]:
            if dep.startswith(door):
                fail("%s is a %s library and may not depend on %s; see ARCHITECTURE.md, rooms" % (name, room, dep))
    native.cc_library(name = name, deps = deps, **kwargs)

def domain_library(name, deps = [], **kwargs):
    """Pure values and decisions: no I/O, no clock, no proto, no log."""
    _room_library("domain", name, deps, **kwargs)

def port_library(name, deps = [], **kwargs):
    """Interfaces in domain words with their contracts."""
    _room_library("port", name, deps, **kwargs)

def adapter_library(name, deps = [], **kwargs):
    """The only code that speaks to a foreign system."""
    _room_library("adapter", name, deps, **kwargs)

def flow_library(name, deps = [], **kwargs):
    """Order, retry and bounds over ports."""
    _room_library("flow", name, deps, **kwargs)

def edge_library(name, deps = [], **kwargs):
    """Decode, check, call, encode: the only users of gRPC server types."""
    _room_library("edge", name, deps, **kwargs)

def catch_test(name, srcs, deps = [], size = "small", **kwargs):
    """A Catch2 test that needs nothing outside its process (`*_test.cc`)."""
    native.cc_test(
        name = name,
        srcs = srcs,
        size = size,
        deps = deps + ["//libs/testing:catch_main", "@absl//:lib", "@catch2//:lib"],
        **kwargs
    )

def pg_test(name, srcs, deps = [], size = "medium", tags = [], **kwargs):
    """A Catch2 test against a real PostgreSQL (`*_pgtest.cc`)."""
    catch_test(
        name = name,
        srcs = srcs,
        deps = deps + ["//libs/testing:postgres_server"],
        size = size,
        tags = tags + ["requires-postgres"],
        **kwargs
    )

def nats_test(name, srcs, deps = [], size = "medium", tags = [], **kwargs):
    """A Catch2 test against a real nats-server (`*_natstest.cc`).

    `NAME` runs on the distribution's, `NAME_newer` the same program on the pinned newer one.
    """
    catch_test(
        name = name,
        srcs = srcs,
        deps = deps + ["//libs/testing:nats_server"],
        size = size,
        tags = tags + ["requires-nats"],
        **kwargs
    )
    native.sh_test(
        name = name + "_newer",
        srcs = ["//libs/testing:on_newer_nats.sh"],
        args = ["$(location :%s)" % name],
        data = [":" + name],
        size = size,
        tags = tags + ["requires-nats"],
    )
