#include "cluster/wire.h"

#include <cstring>
#include <string>

#include "base/bytes.h"
#include "types/local_feature.h"

namespace likeness {
namespace {

constexpr uint64_t kMostWanted = 100'000;      // hits of a query, and factors of that
constexpr uint64_t kMostRefined = 10'000'000;  // candidates
constexpr uint64_t kMostVerified = 10'000;     // candidates by visual words
constexpr uint64_t kMostRows = 8192;           // keypoints of a query

absl::Status Malformed(const std::string& what) {
  return absl::InvalidArgumentError(what + " cannot be read: root and leaf must be of the same version");
}

// An empty text is an empty key.
absl::Status ReadKey(const std::string& text, FeatureKey& key) {
  if (text.empty()) return absl::OkStatus();
  std::optional<FeatureKey> parsed = FeatureKey::Parse(text);
  if (!parsed) return Malformed("a feature's name");
  key = *std::move(parsed);
  return absl::OkStatus();
}

std::string KeyText(const FeatureKey& key) { return key.type.empty() ? std::string() : key.ToString(); }

template <typename T>
std::string Packed(const std::vector<T>& values) {
  return std::string(AsText(std::as_bytes(std::span(values))));
}

template <typename T>
absl::Status Unpack(const std::string& bytes, const char* what, std::vector<T>& values) {
  if (bytes.size() % sizeof(T) != 0) return Malformed(what);
  values.resize(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return absl::OkStatus();
}

template <typename Repeated>
void Write(const std::vector<Annotation>& words, Repeated& message) {
  for (const Annotation& one : words) {
    auto& added = *message.Add();
    added.set_word(one.word);
    added.set_weight(one.weight);
  }
}

template <typename Repeated>
std::vector<Annotation> ReadWords(const Repeated& message) {
  std::vector<Annotation> words;
  for (const auto& one : message) words.push_back({one.word(), one.weight()});
  return words;
}

}  // namespace

void ToMessage(const VisualQuery& query, v1::Query& message) {
  message.set_feature(KeyText(query.feature));
  if (!query.code.code.empty() || !query.code.vector.empty()) {
    message.mutable_code()->set_code(Packed(query.code.code));
    message.mutable_code()->set_vector(Packed(query.code.vector));
    message.mutable_code()->set_norm(query.code.norm);
  }
  if (query.wish) {
    v1::PlainWish& wish = *message.mutable_wish();
    wish.set_feature(KeyText(query.wish->feature));
    wish.set_weight(query.wish->weight);
    wish.set_matcher(query.wish->matcher);
    wish.set_wanted(query.wish->wanted);
    wish.set_refine_least(query.wish->refine_least);
  }
  for (const float weight : query.weights.values) message.add_weights(weight);
  if (query.color) {
    message.mutable_color()->set_feature(KeyText(query.color->feature));
    message.mutable_color()->set_value(query.color->value);
  }
  Write(query.words, *message.mutable_words());
  message.mutable_topic()->Assign(query.topic.begin(), query.topic.end());
  if (query.local) {
    v1::LocalValue& local = *message.mutable_local();
    local.set_feature(KeyText(query.local->feature));
    local.set_rows(query.local->rows);
    local.set_width(query.local->width);
    local.set_height(query.local->height);
  }
  message.set_token_candidates(query.token_candidates);
  message.set_k(query.k);
  message.set_refine_least(query.refine_least);
  message.set_refine_factor(query.refine_factor);
  if (query.traits.hash) message.mutable_traits()->set_hash(query.traits.hash->ToString());
  if (query.traits.code) message.mutable_traits()->set_code(true);
  if (query.traits.words) message.mutable_traits()->set_words(true);
  message.set_background_below(query.background_below);
  message.set_effort(query.effort);
  if (query.collection) message.set_collection(*query.collection);
}

absl::StatusOr<VisualQuery> FromMessage(const v1::Query& message) {
  VisualQuery query;
  LIKENESS_RETURN_IF_ERROR(ReadKey(message.feature(), query.feature));
  if (message.has_code()) {
    LIKENESS_RETURN_IF_ERROR(Unpack(message.code().code(), "a query's code", query.code.code));
    LIKENESS_RETURN_IF_ERROR(Unpack(message.code().vector(), "a query's vector", query.code.vector));
    query.code.norm = message.code().norm();
  }
  if (message.has_wish()) {
    PlainWish& wish = query.wish.emplace();
    LIKENESS_RETURN_IF_ERROR(ReadKey(message.wish().feature(), wish.feature));
    wish.weight = message.wish().weight();
    wish.matcher = message.wish().matcher();
    wish.wanted = message.wish().wanted();
    wish.refine_least = message.wish().refine_least();
    if (wish.refine_least > kMostRefined) return absl::InvalidArgumentError("too many candidates are to be refined");
  }
  if (static_cast<size_t>(message.weights_size()) != query.weights.values.size()) return Malformed("the weights");
  for (int i = 0; i < message.weights_size(); ++i) query.weights.values[static_cast<size_t>(i)] = message.weights(i);
  if (message.has_color()) {
    PlainValue& color = query.color.emplace();
    LIKENESS_RETURN_IF_ERROR(ReadKey(message.color().feature(), color.feature));
    color.value = message.color().value();
  }
  query.words = ReadWords(message.words());
  query.topic.assign(message.topic().begin(), message.topic().end());
  if (message.has_local()) {
    LocalValue& local = query.local.emplace();
    LIKENESS_RETURN_IF_ERROR(ReadKey(message.local().feature(), local.feature));
    local.rows = message.local().rows();
    if (local.rows.size() > kMostRows * kLocalRowSize || local.rows.size() % kLocalRowSize != 0) {
      return Malformed("a query's keypoints");
    }
    local.width = message.local().width();
    local.height = message.local().height();
  }
  query.token_candidates = message.token_candidates();
  if (query.token_candidates > kMostVerified)
    return absl::InvalidArgumentError("too many candidates are to be verified");
  if (message.k() == 0 || message.k() > kMostWanted) {
    return absl::InvalidArgumentError("k is " + std::to_string(message.k()) + ": it must be from 1 to " +
                                      std::to_string(kMostWanted));
  }
  query.k = message.k();
  query.refine_least = message.refine_least();
  query.refine_factor = message.refine_factor();
  if (query.refine_least > kMostRefined || query.refine_factor > kMostRefined / query.k) {
    return absl::InvalidArgumentError("too many candidates are to be refined");
  }
  if (!message.traits().hash().empty()) {
    LIKENESS_RETURN_IF_ERROR(ReadKey(message.traits().hash(), query.traits.hash.emplace()));
  }
  query.traits.code = message.traits().code();
  query.traits.words = message.traits().words();
  query.background_below = message.background_below();
  query.effort = message.effort();
  if (message.has_collection()) query.collection = message.collection();
  if (!(query.effort >= 0)) return absl::InvalidArgumentError("the effort of a search must be a number, 0 or more");
  return query;
}

void ToMessage(const Hit& hit, v1::Hit& message) {
  message.set_signature(hit.signature.bytes.data(), hit.signature.bytes.size());
  message.set_width(hit.width);
  message.set_height(hit.height);
  message.set_score(hit.score.value);
  message.set_feature(KeyText(hit.evidence.feature));
  message.set_distance(hit.evidence.distance.bits);
  message.set_code_bits(hit.evidence.code_bits);
  message.set_cosine(hit.evidence.cosine.value);
  if (const auto& plain = hit.evidence.plain) {
    message.mutable_plain()->set_feature(KeyText(plain->feature));
    message.mutable_plain()->set_match(plain->match);
    message.mutable_plain()->set_value(plain->value);
  }
  uint32_t present = 0;
  for (size_t i = 0; i < kSignals; ++i) {
    const auto signal = static_cast<Signal>(i);
    if (!hit.evidence.signals.has(signal)) continue;
    present |= uint32_t{1} << i;
    message.add_signals(hit.evidence.signals[signal]);
  }
  message.set_has_signals(present);
  if (const auto& tokens = hit.evidence.tokens) {
    message.mutable_tokens()->set_pairs(tokens->pairs);
    message.mutable_tokens()->set_verified(tokens->verified);
    for (const auto& corner : tokens->region) {
      message.mutable_tokens()->add_region(corner[0]);
      message.mutable_tokens()->add_region(corner[1]);
    }
  }
  if (const auto& hash = hit.traits.hash) {
    for (const uint64_t word : hash->words) message.mutable_hash()->add_words(word);
    message.mutable_hash()->set_quality(hash->quality);
  }
  message.set_code(Packed(hit.traits.code));
  Write(hit.traits.words, *message.mutable_words());
}

absl::StatusOr<Hit> FromMessage(const v1::Hit& message) {
  Hit hit;
  if (message.signature().size() != hit.signature.bytes.size()) return Malformed("a hit's signature");
  std::memcpy(hit.signature.bytes.data(), message.signature().data(), hit.signature.bytes.size());
  hit.width = message.width();
  hit.height = message.height();
  hit.score.value = message.score();
  LIKENESS_RETURN_IF_ERROR(ReadKey(message.feature(), hit.evidence.feature));
  hit.evidence.distance.bits = message.distance();
  hit.evidence.code_bits = message.code_bits();
  hit.evidence.cosine.value = message.cosine();
  if (message.has_plain()) {
    PlainEvidence& plain = hit.evidence.plain.emplace();
    LIKENESS_RETURN_IF_ERROR(ReadKey(message.plain().feature(), plain.feature));
    plain.match = message.plain().match();
    plain.value = message.plain().value();
  }
  int next = 0;
  for (size_t i = 0; i < kSignals; ++i) {
    if ((message.has_signals() >> i & 1) == 0) continue;
    if (next >= message.signals_size()) return Malformed("a hit's signals");
    hit.evidence.signals.Set(static_cast<Signal>(i), message.signals(next++));
  }
  if (message.has_tokens()) {
    TokenEvidence& tokens = hit.evidence.tokens.emplace();
    tokens.pairs = message.tokens().pairs();
    tokens.verified = message.tokens().verified();
    if (message.tokens().region_size() % 2 != 0) return Malformed("a hit's region");
    for (int i = 0; i + 1 < message.tokens().region_size(); i += 2) {
      tokens.region.push_back({message.tokens().region(i), message.tokens().region(i + 1)});
    }
  }
  if (message.has_hash()) {
    HitTraits::Hash& hash = hit.traits.hash.emplace();
    if (static_cast<size_t>(message.hash().words_size()) != hash.words.size()) return Malformed("a hit's hash");
    for (size_t i = 0; i < hash.words.size(); ++i) hash.words[i] = message.hash().words(static_cast<int>(i));
    hash.quality = message.hash().quality();
  }
  LIKENESS_RETURN_IF_ERROR(Unpack(message.code(), "a hit's code", hit.traits.code));
  hit.traits.words = ReadWords(message.words());
  return hit;
}

}  // namespace likeness
