// Columns and what they stand for.
#pragma once

#include <soci/soci.h>

#include <optional>
#include <string>
#include <string_view>

#include "catalog/catalog.h"
#include "catalog/text.h"

namespace likeness {

// A signature as the two whole numbers that the tables keep: its bytes 0 to 7 and 8 to 15, big-endian.
struct SignatureColumns {
  long long high = 0, low = 0;

  static SignatureColumns Of(const Signature& signature);
  Signature Value() const;
};

// An epoch as days since 1970-01-01.
inline int EpochColumn(const Epoch& epoch) { return static_cast<int>(epoch.day().time_since_epoch().count()); }
inline Epoch EpochOf(int days) { return Epoch(std::chrono::sys_days(std::chrono::days(days))); }

// A path as the folder, which ends with a slash or is empty, and the name in it. As they are stored (text.h).
struct PathColumns {
  std::string folder, name;
  // 16 bits of the folder's checksum, then 31 of the name's: small in a table, enough to find a path by, and the files
  // of a folder lie together.
  long long key = 0;

  static PathColumns Of(std::string_view path);
};

// Where the bytes of an image may lie: in the file at `path`, or kept as an object below `kept_below`, by its
// signature.
struct Location {
  std::optional<std::string> path;
  std::optional<std::string> kept_below;  // "images/ab/"

  // Nothing when `text` is no location of an image with that signature.
  static std::optional<Location> Parse(std::string_view text, const Signature& signature);
};

// Variables that SOCI fetches an image into, one row at a time.
class ImageRow {
 public:
  // The images under `condition` on the table i, whose placeholders `bound` fills in order.
  template <typename... Bound>
  soci::statement Select(soci::session& session, const std::string& condition, Bound&... bound) {
    soci::statement select(session);
    Exchange(select);
    (select.exchange(soci::use(bound)), ...);
    select.alloc();
    select.prepare(kSelect + condition);
    select.define_and_bind();
    return select;
  }
  Signature signature() const { return signature_.Value(); }
  ImageRecord Record() const;

 private:
  static const std::string kSelect;
  void Exchange(soci::statement& select);

  SignatureColumns signature_;
  long long bytes_ = 0, removed_ = 0;
  int width_ = 0, height_ = 0, epoch_ = 0, shard_ = 0;
  std::string format_, folder_, name_, kept_, reason_;
  soci::indicator has_shard_ = soci::i_null, has_kept_ = soci::i_null, has_reason_ = soci::i_null;
  soci::indicator is_removed_ = soci::i_null;
};

}  // namespace likeness
