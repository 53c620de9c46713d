#pragma once

namespace coder::crypto {

/// Readies libsodium; call before its first use. Cheap when done already; any thread. A machine
/// without a random source ends the process with a sentence.
void PrepareSodium();

}  // namespace coder::crypto
