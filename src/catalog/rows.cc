#include "catalog/rows.h"

#include "base/bytes.h"

namespace likeness {
namespace {

constexpr std::string_view kFile = "file:", kObject = "object:";

long long Number(const std::byte* bytes) {
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | static_cast<uint64_t>(bytes[i]);
  return static_cast<long long>(number);
}

void PutNumber(long long value, std::byte* bytes) {
  auto number = static_cast<uint64_t>(value);
  for (int i = 7; i >= 0; --i, number >>= 8) bytes[i] = static_cast<std::byte>(number & 0xff);
}

}  // namespace

SignatureColumns SignatureColumns::Of(const Signature& signature) {
  return {Number(signature.bytes.data()), Number(signature.bytes.data() + 8)};
}

Signature SignatureColumns::Value() const {
  Signature signature;
  PutNumber(high, signature.bytes.data());
  PutNumber(low, signature.bytes.data() + 8);
  return signature;
}

PathColumns PathColumns::Of(std::string_view path) {
  const size_t name = path.rfind('/') + 1;  // 0 when there is no slash
  const uint64_t folder_sum = Checksum(AsBytes(path.substr(0, name))), name_sum = Checksum(AsBytes(path.substr(name)));
  return {ToStored(path.substr(0, name)), ToStored(path.substr(name)),
          static_cast<long long>(folder_sum >> 48 << 31 | name_sum >> 33)};
}

std::optional<Location> Location::Parse(std::string_view text, const Signature& signature) {
  if (text.starts_with(kFile)) return Location{std::string(text.substr(kFile.size())), std::nullopt};
  const std::string hex = signature.Hex();
  if (!text.starts_with(kObject) || !text.ends_with("/" + hex)) return std::nullopt;
  text.remove_prefix(kObject.size());
  text.remove_suffix(hex.size());
  return Location{std::nullopt, std::string(text)};
}

const std::string ImageRow::kSelect =
    "SELECT i.signature_high, i.signature_low, i.bytes, i.width, i.height, i.epoch,"
    " (SELECT s.shard FROM shards s WHERE s.epoch = i.epoch AND s.first <= i.number AND s.last >= i.number),"
    " i.format, f.path, i.name, k.path, q.reason, r.number"
    " FROM images i JOIN folders f ON f.folder = i.folder LEFT JOIN folders k ON k.folder = i.kept"
    " LEFT JOIN quarantine q ON q.number = i.number LEFT JOIN removed r ON r.number = i.number ";

void ImageRow::Exchange(soci::statement& select) {
  for (long long* number : {&signature_.high, &signature_.low, &bytes_}) select.exchange(soci::into(*number));
  for (int* number : {&width_, &height_, &epoch_}) select.exchange(soci::into(*number));
  select.exchange(soci::into(shard_, has_shard_));
  for (std::string* text : {&format_, &folder_, &name_}) select.exchange(soci::into(*text));
  select.exchange(soci::into(kept_, has_kept_));
  select.exchange(soci::into(reason_, has_reason_));
  select.exchange(soci::into(removed_, is_removed_));
}

ImageRecord ImageRow::Record() const {
  ImageRecord record;
  record.signature = signature_.Value();
  record.format = format_;
  record.bytes = static_cast<uint64_t>(bytes_);
  record.width = static_cast<uint32_t>(width_);
  record.height = static_cast<uint32_t>(height_);
  record.epoch = EpochOf(epoch_);
  if (has_shard_ == soci::i_ok) record.shard = static_cast<uint32_t>(shard_);
  record.location = has_kept_ == soci::i_ok ? std::string(kObject) + FromStored(kept_) + record.signature.Hex()
                                            : std::string(kFile) + FromStored(folder_) + FromStored(name_);
  if (has_reason_ == soci::i_ok) record.reason = FromStored(reason_);
  record.removed = is_removed_ == soci::i_ok;
  return record;
}

}  // namespace likeness
