#include "libs/crypto/sodium.h"

#include <sodium.h>

#include <cstdio>
#include <cstdlib>

namespace coder::crypto {

void PrepareSodium() {
  if (sodium_init() >= 0) return;
  std::fputs("prepare libsodium: the system has no usable random source\n", stderr);
  std::abort();
}

}  // namespace coder::crypto
