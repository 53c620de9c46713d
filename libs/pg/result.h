#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "libs/pg/value.h"

struct pg_result;

namespace coder::pg {

/// What a statement returned, whole and in memory. Movable; reading from many threads is safe.
///
/// Reading a column that does not exist, with a type it does not have, or a NULL without
/// std::optional, means that the SQL and the code reading it disagree: the process ends with a
/// sentence naming both, as it does for a bad index.
class Result {
 public:
  /// One row; borrowed from the Result, which must outlive it.
  class Row {
   public:
    Row(const Result& result, int row) : result_(&result), row_(row) {}

    /// The value in a column, by index from 0 or by name.
    template <typename T>
    T Get(int column) const {
      return result_->Get<T>(row_, column);
    }
    template <typename T>
    T Get(std::string_view column) const {
      return result_->Get<T>(row_, column);
    }

   private:
    const Result* result_;
    int row_;
  };

  class Iterator {
   public:
    Iterator(const Result& result, int row) : result_(&result), row_(row) {}
    Row operator*() const { return Row(*result_, row_); }
    Iterator& operator++() {
      ++row_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return row_ == other.row_; }

   private:
    const Result* result_;
    int row_;
  };

  /// Takes ownership of `result`, which must be in binary form.
  explicit Result(pg_result* result);

  /// Rows returned.
  int rows() const;
  bool empty() const { return rows() == 0; }

  /// Rows inserted, updated, deleted or selected, as the command tag counts them.
  int64_t affected() const;

  /// The command tag, such as "COMMIT" or "INSERT 0 1".
  std::string_view command() const;

  Row operator[](int row) const { return Row(*this, row); }
  Iterator begin() const { return Iterator(*this, 0); }
  Iterator end() const { return Iterator(*this, rows()); }

  /// The value at a row and a column, both from 0; T is one of ReadCell's types (value.h).
  template <typename T>
  T Get(int row, int column) const {
    const Cell cell = At(row, column);
    T value{};
    if constexpr (!requires { value.has_value(); }) {
      if (cell.is_null) DieOfMismatch(column, cell);
    }
    if (!ReadCell(cell, value)) DieOfMismatch(column, cell);
    return value;
  }

  /// As above, by the column's name.
  template <typename T>
  T Get(int row, std::string_view column) const {
    return Get<T>(row, IndexOf(column));
  }

 private:
  struct Clear {
    void operator()(pg_result* result) const;
  };

  Cell At(int row, int column) const;
  int IndexOf(std::string_view column) const;
  [[noreturn]] void DieOfMismatch(int column, const Cell& cell) const;

  std::unique_ptr<pg_result, Clear> result_;
};

}  // namespace coder::pg
