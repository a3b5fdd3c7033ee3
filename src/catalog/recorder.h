// Writes images, the places where they are, and pins, within one transaction.
#pragma once

#include <soci/soci.h>

#include <optional>
#include <string>
#include <unordered_map>

#include "base/status.h"
#include "catalog/catalog.h"
#include "catalog/rows.h"
#include "catalog/schema.h"

namespace likeness {

// The one row of catalog_state.
struct CatalogState {
  long long images = 0;         // with a number above 0
  long long pins = 0;           // and the number of the last one: no pin is ever taken away
  long long next_image = 1;     // numbers count up in the order in which images came ...
  long long next_refused = -1;  // ... and down for those that were refused before they belonged to a shard
  long long uncut = 1;          // images with this number or a higher one belong to no shard yet

  // Reads the row and keeps other writers out until the transaction ends.
  static CatalogState Lock(soci::session& session, const Dialect& dialect);
  void Save(soci::session& session) const;
};

// Prepares each statement once. Use it within SessionPool::Write, and call Finish at its end.
class Recorder {
 public:
  Recorder(soci::session& session, const Dialect& dialect);

  // Errors: InvalidArgument when the location or the source make no sense.
  absl::Status Record(const Addition& addition);
  void Finish() { state_.Save(session_); }

  CatalogState& state() { return state_; }
  // The number of the image, above 0 unless it was refused; nothing when it is not known.
  std::optional<long long> Find(const Signature& signature);
  // Marks an image: one that belongs to no shard yet is refused, any other is kept in quarantine.
  void Quarantine(long long number, const ImageFault& fault);
  // False when it was removed before.
  bool Remove(long long number);

 private:
  // Variables of statements, each bound once.
  struct ImageColumns {
    long long number = 0, high = 0, low = 0, bytes = 0, path_key = 0, modified_ns = 0;
    int width = 0, height = 0, epoch = 0, folder = 0, kept = 0;
    std::string format, name;
    soci::indicator has_modified = soci::i_null, has_kept = soci::i_null;
  };
  struct SourceColumns {
    int folder = 0;
    std::string name, reason;
    long long size = 0, modified_ns = 0, image = 0;
    soci::indicator has_image = soci::i_null;
  };

  // Whether the source has been recorded with the image.
  absl::StatusOr<bool> RecordImage(const ImageRecord& image, const SourceRecord& source, bool revive);
  void LookAgain(long long number, const ImageRecord& image);
  // Undoes Remove for an image whose bytes are there again; false when it was not removed.
  bool Revive(long long number, const ImageRecord& image);
  bool IsRemoved(long long number);
  void HiddenChanged();
  absl::Status RecordSource(const SourceRecord& source);
  absl::Status RecordPin(const Pin& pin);
  void RecordWords(long long pin, const std::string& text, bool add);
  void Renumber(long long from, long long to);
  int FolderNumber(const std::string& stored);
  int BoardNumber(const std::string& id, const std::string& title);
  // The image whose own place is that path.
  std::optional<long long> AtHome(const PathColumns& path);

  soci::session& session_;
  CatalogState state_;
  SignatureColumns wanted_;
  long long wanted_key_ = 0, found_ = 0;
  std::string found_folder_, found_name_;
  ImageColumns image_;
  SourceColumns source_;
  std::unordered_map<std::string, int> folders_, boards_;
  soci::statement find_, at_home_, insert_image_, insert_source_, delete_source_;
};

}  // namespace likeness
