#include "services/coderd-api/testing/raw_call.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "services/coderd-api/testing/api_server.h"

namespace coder::api {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::MethodDescriptor;

[[noreturn]] void Die(const std::string& what, const std::string& which) {
  std::fprintf(stderr, "call by name: %s: %s\n", what.c_str(), which.c_str());
  std::abort();
}

const MethodDescriptor* FindMethod(const std::string& method) {
  std::string name = method.substr(1);
  std::replace(name.begin(), name.end(), '/', '.');
  const MethodDescriptor* found = DescriptorPool::generated_pool()->FindMethodByName(name);
  if (found == nullptr) Die("no such method", method);
  return found;
}

grpc::ByteBuffer RequestOf(const MethodDescriptor& method, const std::string& text) {
  std::unique_ptr<google::protobuf::Message> request(
      google::protobuf::MessageFactory::generated_factory()
          ->GetPrototype(method.input_type())
          ->New());
  if (!google::protobuf::TextFormat::ParseFromString(text, request.get())) {
    Die("no " + method.input_type()->full_name(), text);
  }
  const grpc::Slice slice(request->SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  (void)buffer.Dump(&slices);
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

RawAnswer RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                  const std::string& request_text, const std::string& token) {
  const MethodDescriptor* descriptor = FindMethod(method);
  const grpc::ByteBuffer request = RequestOf(*descriptor, request_text);
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  Authorize(context, token);
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto stream = stub.PrepareCall(&context, method, &queue);
  stream->StartCall(nullptr);
  if (done()) {
    stream->WriteLast(request, grpc::WriteOptions(), nullptr);
    done();
  }
  RawAnswer answer;
  grpc::ByteBuffer response;
  stream->Read(&response, nullptr);
  const bool answered = done();
  if (answered) answer.message = BytesOf(response);
  if (answered && descriptor->server_streaming()) context.TryCancel();
  stream->Finish(&answer.status, nullptr);
  done();
  if (answered && descriptor->server_streaming()) answer.status = grpc::Status::OK;
  queue.Shutdown();
  while (done()) {
  }
  return answer;
}

}  // namespace coder::api
