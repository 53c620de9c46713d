#include "libs/pg/result.h"

#include <libpq-fe.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"

namespace coder::pg {

void Result::Clear::operator()(pg_result* result) const { PQclear(result); }

Result::Result(pg_result* result) : result_(result) {}

int Result::rows() const { return PQntuples(result_.get()); }

int64_t Result::affected() const {
  int64_t count = 0;
  return absl::SimpleAtoi(PQcmdTuples(result_.get()), &count) ? count : 0;
}

std::string_view Result::command() const { return PQcmdStatus(result_.get()); }

Cell Result::At(int row, int column) const {
  PGresult* result = result_.get();
  if (row < 0 || row >= PQntuples(result) || column < 0 || column >= PQnfields(result)) {
    std::fprintf(stderr, "read row %d, column %d of a result of %d rows and %d columns\n", row,
                 column, PQntuples(result), PQnfields(result));
    std::abort();
  }
  return {.type_oid = PQftype(result, column),
          .is_null = PQgetisnull(result, row, column) == 1,
          .bytes = {PQgetvalue(result, row, column),
                    static_cast<size_t>(PQgetlength(result, row, column))}};
}

int Result::IndexOf(std::string_view column) const {
  for (int i = 0; i < PQnfields(result_.get()); ++i) {
    if (column == PQfname(result_.get(), i)) return i;
  }
  std::fprintf(stderr, "read column %s: the statement returns no such column\n",
               std::string(column).c_str());
  std::abort();
}

void Result::DieOfMismatch(int column, const Cell& cell) const {
  std::fprintf(stderr,
               "read column %s: the server sent %s of the type with object id %u; cast it in SQL "
               "or read it as what it is\n",
               PQfname(result_.get(), column), cell.is_null ? "NULL" : "a value", cell.type_oid);
  std::abort();
}

}  // namespace coder::pg
