#pragma once

#include "libs/jetstream/ports/publisher.h"
#include "libs/jetstream/ports/stream_admin.h"

namespace coder::jetstream {

/// What StreamAdmin and Publisher promise, asked of both ends of one stream that does not exist
/// yet: to be called from a TEST_CASE.
void CheckStreamContract(StreamAdmin& admin, Publisher& publisher);

}  // namespace coder::jetstream
