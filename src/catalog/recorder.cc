#include "catalog/recorder.h"

#include <algorithm>

namespace likeness {
namespace {

constexpr size_t kMostFolders = 10'000;  // remembered at once

}  // namespace

CatalogState CatalogState::Lock(soci::session& session, const Dialect& dialect) {
  CatalogState state;
  session << std::string("SELECT images, pins, next_image, next_refused, uncut FROM catalog_state") +
                 dialect.lock_state,
      soci::into(state.images), soci::into(state.pins), soci::into(state.next_image), soci::into(state.next_refused),
      soci::into(state.uncut);
  return state;
}

void CatalogState::Save(soci::session& session) const {
  session << "UPDATE catalog_state SET images = :images, pins = :pins, next_image = :next_image,"
             " next_refused = :next_refused, uncut = :uncut",
      soci::use(images), soci::use(pins), soci::use(next_image), soci::use(next_refused), soci::use(uncut);
}

Recorder::Recorder(soci::session& session, const Dialect& dialect)
    : session_(session),
      state_(CatalogState::Lock(session, dialect)),
      find_((session.prepare << "SELECT number FROM images WHERE signature_high = :high AND signature_low = :low",
             soci::use(wanted_.high), soci::use(wanted_.low), soci::into(found_))),
      at_home_((session.prepare << "SELECT i.number, f.path, i.name FROM images i JOIN folders f ON"
                                   " f.folder = i.folder WHERE i.path_key = :key AND i.modified_ns IS NOT NULL",
                soci::use(wanted_key_), soci::into(found_), soci::into(found_folder_), soci::into(found_name_))),
      insert_image_(
          (session.prepare << "INSERT INTO images (number, signature_high, signature_low, bytes, path_key, modified_ns,"
                              " width, height, epoch, folder, kept, format, name) VALUES (:number, :high, :low, :bytes,"
                              " :path_key, :modified, :width, :height, :epoch, :folder, :kept, :format, :name)",
           soci::use(image_.number), soci::use(image_.high), soci::use(image_.low), soci::use(image_.bytes),
           soci::use(image_.path_key), soci::use(image_.modified_ns, image_.has_modified), soci::use(image_.width),
           soci::use(image_.height), soci::use(image_.epoch), soci::use(image_.folder),
           soci::use(image_.kept, image_.has_kept), soci::use(image_.format), soci::use(image_.name))),
      insert_source_(
          (session.prepare << "INSERT INTO sources (folder, name, size, modified_ns, image, reason) VALUES (:folder,"
                              " :name, :size, :modified, :image, :reason) ON CONFLICT (folder, name) DO UPDATE SET"
                              " size = excluded.size, modified_ns = excluded.modified_ns, image = excluded.image,"
                              " reason = excluded.reason",
           soci::use(source_.folder), soci::use(source_.name), soci::use(source_.size), soci::use(source_.modified_ns),
           soci::use(source_.image, source_.has_image), soci::use(source_.reason))),
      delete_source_((session.prepare << "DELETE FROM sources WHERE folder = :folder AND name = :name",
                      soci::use(source_.folder), soci::use(source_.name))) {}

absl::Status Recorder::Record(const Addition& addition) {
  bool placed = false;
  if (addition.image) {
    LIKENESS_ASSIGN_OR_RETURN(placed, RecordImage(*addition.image, addition.source, addition.revive));
  }
  if (!placed && !addition.source.path.empty()) LIKENESS_RETURN_IF_ERROR(RecordSource(addition.source));
  return addition.pin ? RecordPin(*addition.pin) : absl::OkStatus();
}

std::optional<long long> Recorder::Find(const Signature& signature) {
  wanted_ = SignatureColumns::Of(signature);
  return find_.execute(true) ? std::optional(found_) : std::nullopt;
}

std::optional<long long> Recorder::AtHome(const PathColumns& path) {
  wanted_key_ = path.key;
  for (bool more = at_home_.execute(true); more; more = at_home_.fetch()) {
    if (found_name_ == path.name && found_folder_ == path.folder) return found_;
  }
  return std::nullopt;
}

int Recorder::FolderNumber(const std::string& stored) {
  if (const auto known = folders_.find(stored); known != folders_.end()) return known->second;
  long long number = 0;
  session_ << "SELECT folder FROM folders WHERE path = :path", soci::use(stored), soci::into(number);
  if (!session_.got_data()) {
    session_ << "SELECT coalesce(max(folder), 0) + 1 FROM folders", soci::into(number);
    session_ << "INSERT INTO folders (folder, path) VALUES (:folder, :path)", soci::use(number), soci::use(stored);
  }
  if (folders_.size() >= kMostFolders) folders_.clear();
  return folders_[stored] = static_cast<int>(number);
}

absl::StatusOr<bool> Recorder::RecordImage(const ImageRecord& image, const SourceRecord& source, bool revive) {
  if (const std::optional<long long> number = Find(image.signature)) {
    if (IsRemoved(*number) && !(revive && Revive(*number, image))) return false;
    LookAgain(*number, image);
    return false;
  }
  const std::optional<Location> location = Location::Parse(image.location, image.signature);
  if (!location) {
    return absl::InvalidArgumentError("an image lies in a file, or as an object by its signature, not at " +
                                      image.location);
  }
  const std::string& place = location->path ? *location->path : source.path;
  const PathColumns path = PathColumns::Of(place);
  const bool refused = !image.reason.empty();
  image_.number = refused ? state_.next_refused-- : state_.next_image++;
  const SignatureColumns signature = SignatureColumns::Of(image.signature);
  image_.high = signature.high;
  image_.low = signature.low;
  image_.bytes = static_cast<long long>(image.bytes);
  image_.path_key = path.key;
  image_.has_modified = soci::i_null;  // RecordSource says whether it is there now.
  image_.width = static_cast<int>(image.width);
  image_.height = static_cast<int>(image.height);
  image_.epoch = EpochColumn(image.epoch);
  image_.folder = FolderNumber(path.folder);
  image_.has_kept = location->kept_below ? soci::i_ok : soci::i_null;
  if (location->kept_below) image_.kept = FolderNumber(ToStored(*location->kept_below));
  image_.format = ToStored(image.format);
  image_.name = path.name;
  if (refused) {
    const std::string reason = ToStored(image.reason);
    session_ << "INSERT INTO quarantine (number, reason, attempts, gone) VALUES (:number, :reason, 1, 0)",
        soci::use(image_.number), soci::use(reason);
  } else {
    ++state_.images;
  }
  const bool at_place = place == source.path && source.signature == image.signature && source.reason.empty() &&
                        source.size == image.bytes;
  const bool placed = at_place && !AtHome(path);
  if (placed) {
    image_.modified_ns = source.modified_ns;
    image_.has_modified = soci::i_ok;
    source_.folder = image_.folder;
    source_.name = path.name;
    delete_source_.execute(true);
  }
  insert_image_.execute(true);
  return placed;
}

void Recorder::LookAgain(long long number, const ImageRecord& image) {
  const std::string reason = ToStored(image.reason), format = ToStored(image.format);
  if (number < 0 && !image.reason.empty()) {
    session_ << "UPDATE quarantine SET reason = :reason WHERE number = :number", soci::use(reason), soci::use(number);
    return;
  }
  if (!image.reason.empty()) return;
  if (number > 0) {
    int gone = 0;
    session_ << "SELECT gone FROM quarantine WHERE number = :number", soci::use(number), soci::into(gone);
    if (!session_.got_data() || gone == 0) return;
    session_ << "INSERT INTO departed (number, signature_high, signature_low, epoch) SELECT number, signature_high,"
                " signature_low, epoch FROM images WHERE number = :number",
        soci::use(number);
  } else {
    ++state_.images;
  }
  const int width = static_cast<int>(image.width), height = static_cast<int>(image.height);
  session_ << "DELETE FROM quarantine WHERE number = :number", soci::use(number);
  session_ << "UPDATE images SET format = :format, width = :width, height = :height WHERE number = :number",
      soci::use(format), soci::use(width), soci::use(height), soci::use(number);
  Renumber(number, state_.next_image++);
}

bool Recorder::IsRemoved(long long number) {
  int found = 0;
  session_ << "SELECT 1 FROM removed WHERE number = :number", soci::use(number), soci::into(found);
  return session_.got_data();
}

void Recorder::HiddenChanged() { session_ << "UPDATE hidden SET changes = changes + 1"; }

bool Recorder::Remove(long long number) {
  if (IsRemoved(number)) return false;
  if (number >= state_.uncut) {
    const long long refused = state_.next_refused--;
    Renumber(number, refused);
    number = refused;
    --state_.images;
  }
  // Whoever belongs to no shard will not be tried again: no reason is needed.
  if (number < 0) session_ << "DELETE FROM quarantine WHERE number = :number", soci::use(number);
  session_ << "INSERT INTO removed (number) VALUES (:number)", soci::use(number);
  HiddenChanged();
  return true;
}

bool Recorder::Revive(long long number, const ImageRecord& image) {
  if (!image.reason.empty()) return false;
  session_ << "DELETE FROM removed WHERE number = :number", soci::use(number);
  HiddenChanged();
  if (const auto location = Location::Parse(image.location, image.signature); location && location->kept_below) {
    const int kept = FolderNumber(ToStored(*location->kept_below));
    session_ << "UPDATE images SET kept = :kept WHERE number = :number", soci::use(kept), soci::use(number);
  }
  return true;
}

void Recorder::Renumber(long long from, long long to) {
  for (const char* statement :
       {"UPDATE images SET number = :to WHERE number = :from", "UPDATE sources SET image = :to WHERE image = :from",
        "UPDATE pins SET image = :to WHERE image = :from", "UPDATE unpinned SET number = :to WHERE number = :from",
        "UPDATE removed SET number = :to WHERE number = :from"}) {
    session_ << statement, soci::use(to), soci::use(from);
  }
}

void Recorder::Quarantine(long long number, const ImageFault& fault) {
  if (number >= state_.uncut) {
    const long long refused = state_.next_refused--;
    Renumber(number, refused);
    number = refused;
    --state_.images;
  }
  const std::string reason = ToStored(fault.reason);
  const int attempts = static_cast<int>(std::min<uint32_t>(fault.attempts, INT32_MAX)), gone = fault.gone ? 1 : 0;
  session_ << "INSERT INTO quarantine (number, reason, attempts, gone) VALUES (:number, :reason, :attempts, :gone)"
              " ON CONFLICT (number) DO UPDATE SET reason = excluded.reason, attempts = excluded.attempts,"
              " gone = excluded.gone",
      soci::use(number), soci::use(reason), soci::use(attempts), soci::use(gone);
}

absl::Status Recorder::RecordSource(const SourceRecord& source) {
  const PathColumns path = PathColumns::Of(source.path);
  std::optional<long long> image;
  if (source.signature) {
    image = Find(*source.signature);
    if (!image) return absl::InvalidArgumentError("the image of " + source.path + " was never recorded");
  }
  source_.folder = FolderNumber(path.folder);
  source_.name = path.name;
  source_.modified_ns = source.modified_ns;
  const std::optional<long long> home_of = AtHome(path);
  if (home_of && home_of != image) {
    session_ << "UPDATE images SET modified_ns = NULL WHERE number = :number", soci::use(*home_of);
  }
  if (image && source.reason.empty()) {
    // The place in the image's own row, when that is free, or is this one already.
    const auto size = static_cast<long long>(source.size);
    int free = 0;
    session_ << "SELECT 1 FROM images WHERE number = :number AND bytes = :size AND"
                " (modified_ns IS NULL OR (path_key = :key AND folder = :folder AND name = :name))",
        soci::use(*image), soci::use(size), soci::use(path.key), soci::use(source_.folder), soci::use(path.name),
        soci::into(free);
    if (session_.got_data()) {
      session_ << "UPDATE images SET modified_ns = :modified, path_key = :key, folder = :folder, name = :name"
                  " WHERE number = :number",
          soci::use(source_.modified_ns), soci::use(path.key), soci::use(source_.folder), soci::use(path.name),
          soci::use(*image);
      delete_source_.execute(true);
      return absl::OkStatus();
    }
  }
  if (home_of && home_of == image) {
    session_ << "UPDATE images SET modified_ns = NULL WHERE number = :number", soci::use(*home_of);
  }
  source_.size = static_cast<long long>(source.size);
  source_.has_image = image ? soci::i_ok : soci::i_null;
  source_.image = image.value_or(0);
  source_.reason = ToStored(source.reason);
  insert_source_.execute(true);
  return absl::OkStatus();
}

}  // namespace likeness
