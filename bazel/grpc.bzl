"""cc_library targets generated from .proto files with the system protoc."""

ProtoSourcesInfo = provider(fields = {"transitive": "depset of .proto files"})

def _proto_gen_impl(ctx):
    hdrs = []
    srcs = []
    transitive = depset(
        ctx.files.srcs,
        transitive = [d[ProtoSourcesInfo].transitive for d in ctx.attr.deps],
    )
    out_dir = "%s/%s" % (ctx.bin_dir.path, ctx.attr.root)
    for src in ctx.files.srcs:
        stem = src.basename[:-len(".proto")]
        outs_h = [ctx.actions.declare_file(stem + ".pb.h", sibling = src)]
        outs_c = [ctx.actions.declare_file(stem + ".pb.cc", sibling = src)]
        args = ctx.actions.args()
        args.add("-I" + ctx.attr.root)
        args.add("-I/usr/include")  # google/protobuf/*.proto
        args.add("--cpp_out=" + out_dir)
        tools = [ctx.executable._protoc]
        if ctx.attr.grpc:
            outs_h.append(ctx.actions.declare_file(stem + ".grpc.pb.h", sibling = src))
            outs_c.append(ctx.actions.declare_file(stem + ".grpc.pb.cc", sibling = src))
            args.add("--plugin=protoc-gen-grpc=" + ctx.executable._grpc_plugin.path)
            args.add("--grpc_out=" + out_dir)
            tools.append(ctx.executable._grpc_plugin)
        args.add(src.path)
        ctx.actions.run(
            executable = ctx.executable._protoc,
            arguments = [args],
            inputs = depset(ctx.files._tool_versions, transitive = [transitive]),
            tools = tools,
            outputs = outs_h + outs_c,
            mnemonic = "ProtocCpp",
            progress_message = "protoc %s" % src.short_path,
        )
        hdrs += outs_h
        srcs += outs_c
    return [
        DefaultInfo(files = depset(hdrs + srcs)),
        OutputGroupInfo(hdrs = depset(hdrs), srcs = depset(srcs)),
        ProtoSourcesInfo(transitive = transitive),
    ]

_proto_gen = rule(
    implementation = _proto_gen_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".proto"], mandatory = True),
        "deps": attr.label_list(providers = [ProtoSourcesInfo]),
        "grpc": attr.bool(),
        "root": attr.string(doc = "the folder imports are written relative to"),
        "_protoc": attr.label(default = "@system_tools//:protoc", executable = True, cfg = "host", allow_single_file = True),
        "_grpc_plugin": attr.label(default = "@system_tools//:grpc_cpp_plugin", executable = True, cfg = "host", allow_single_file = True),
        "_tool_versions": attr.label_list(default = ["@system_tools//:protoc_version", "@system_tools//:grpc_cpp_plugin_version"]),
    },
    output_to_genfiles = False,
)

def _gen_label(label):
    if ":" in label:
        return label + "_gen"
    return label + ":" + label.split("/")[-1] + "_gen"

def cc_grpc_library(name, srcs, deps = [], grpc = True, root = "protos", visibility = None, **kwargs):
    """A cc_library with the messages (and, with grpc, the stubs) of `srcs`.

    Args:
      name: the cc_library.
      srcs: .proto files of this package.
      deps: other cc_grpc_library targets.
      grpc: whether to generate service stubs too.
      root: the folder, relative to the workspace, that imports are written
        relative to and that is put on the include path.
      visibility: of the library.
      **kwargs: passed to cc_library.
    """
    gen = name + "_gen"
    _proto_gen(
        name = gen,
        srcs = srcs,
        deps = [_gen_label(d) for d in deps],
        grpc = grpc,
        root = root,
        visibility = visibility,
    )
    native.filegroup(name = name + "_hdrs", srcs = [":" + gen], output_group = "hdrs", visibility = ["//visibility:private"])
    native.filegroup(name = name + "_srcs", srcs = [":" + gen], output_group = "srcs", visibility = ["//visibility:private"])
    native.cc_library(
        name = name,
        srcs = [":" + name + "_srcs"],
        hdrs = [":" + name + "_hdrs"],
        copts = ["-w"],
        deps = ["//%s:include_path" % root] + deps + (["@grpc//:lib"] if grpc else ["@protobuf//:lib"]),
        visibility = visibility,
        **kwargs
    )
