#pragma once

#include <string>
#include <utility>
#include <vector>

#include "libs/pg/param.h"

namespace coder::pg {

/// Statements to be sent together and answered in one round trip. They run in order; the first
/// that fails ends the batch and nothing after it runs. Keep batches below some thousand
/// statements: all of them and all of their results are held in memory.
class Pipeline {
 public:
  /// Appends a statement.
  Pipeline& Add(std::string sql, std::vector<Param> params = {}, Plan plan = Plan::kKept) {
    queries_.push_back({std::move(sql), std::move(params), plan});
    return *this;
  }

  size_t size() const { return queries_.size(); }
  const std::vector<Query>& queries() const { return queries_; }

 private:
  std::vector<Query> queries_;
};

}  // namespace coder::pg
