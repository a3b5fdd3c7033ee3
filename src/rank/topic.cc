#include "rank/topic.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "kernel/hamming.h"
#include "rank/signals.h"

namespace likeness {
namespace {

constexpr size_t kLeastSpeakers = 3;

double LengthOf(std::span<const Annotation> words) {
  double sum = 0;
  for (const Annotation& one : words) sum += static_cast<double>(one.weight) * one.weight;
  return std::sqrt(sum);
}

// The hits that have words, and the words that they know.
class Speakers {
 public:
  explicit Speakers(std::span<const Hit> hits) : hits_(hits) {
    for (size_t i = 0; i < hits.size() && numbers_.size() < kTopicSpeakers; ++i) {
      const double length = LengthOf(hits[i].traits.words);
      if (!(length > 0)) continue;
      numbers_.push_back(i);
      lengths_.push_back(length);
      for (const Annotation& one : hits[i].traits.words) known_.push_back(one.word);
    }
    std::ranges::sort(known_);
    known_.erase(std::unique(known_.begin(), known_.end()), known_.end());
  }

  size_t size() const { return numbers_.size(); }
  size_t number(size_t speaker) const { return numbers_[speaker]; }
  size_t words() const { return known_.size(); }

  // The topic of hit `i` over the known words, of length 1 at most; false where it has none.
  bool TopicOf(size_t i, std::vector<double>& topic) const {
    topic.assign(known_.size(), 0);
    double outside = 0;  // squared: what it says that no speaker does
    if (const double length = LengthOf(hits_[i].traits.words); length > 0) outside = Add(i, 1 / length, topic);
    std::vector<double> said(known_.size());
    double sum = 0;
    for (const auto& [distance, speaker] : NeighborsOf(i)) {
      const double cosine = CodeCosine(distance, hits_[i].evidence.code_bits);
      if (cosine > 0) Add(numbers_[speaker], cosine * cosine / lengths_[speaker], said);
    }
    for (const double x : said) sum += x * x;
    if (sum > 0) {
      for (size_t w = 0; w < topic.size(); ++w) topic[w] += said[w] / std::sqrt(sum);
    }
    sum = outside;
    for (const double x : topic) sum += x * x;
    if (!(sum > 0)) return false;
    for (double& x : topic) x /= std::sqrt(sum);
    return true;
  }

 private:
  // Adds the words of a hit; returns the square of what is not known.
  double Add(size_t i, double factor, std::vector<double>& out) const {
    double unknown = 0;
    auto at = known_.begin();
    for (const Annotation& one : hits_[i].traits.words) {
      at = std::lower_bound(at, known_.end(), one.word);
      const double weight = factor * one.weight;
      if (at != known_.end() && *at == one.word) {
        out[static_cast<size_t>(at - known_.begin())] += weight;
      } else {
        unknown += weight * weight;
      }
    }
    return unknown;
  }

  // The speakers whose codes are nearest: distance and number, in that order.
  std::vector<std::pair<uint32_t, size_t>> NeighborsOf(size_t i) const {
    std::vector<std::pair<uint32_t, size_t>> near;
    const std::vector<uint64_t>& code = hits_[i].traits.code;
    if (code.empty() || code.size() > kMaxCodeWords) return near;
    for (size_t s = 0; s < numbers_.size(); ++s) {
      const std::vector<uint64_t>& other = hits_[numbers_[s]].traits.code;
      if (numbers_[s] == i || other.size() != code.size()) continue;
      near.emplace_back(HammingDistance(code, other), s);
    }
    const size_t most = std::min({near.size(), kTopicLooks, numbers_.size() / 4});
    std::partial_sort(near.begin(), near.begin() + static_cast<std::ptrdiff_t>(most), near.end());
    near.resize(most);
    return near;
  }

  std::span<const Hit> hits_;
  std::vector<size_t> numbers_;  // of hits
  std::vector<double> lengths_;  // of their words
  std::vector<uint32_t> known_;  // sorted
};

}  // namespace

Topics TopicsOf(std::span<const Hit> hits) {
  Topics topics;
  topics.hits.resize(hits.size());
  const Speakers speakers(hits);
  if (speakers.size() < kLeastSpeakers) return topics;
  std::vector<double> about(speakers.words()), topic;
  const size_t near = std::min(speakers.size(), kTopicNear);
  double voices = 0;
  for (size_t n = 0; n < near; ++n) {
    const double voice = 1 / std::log2(static_cast<double>(n) + 2);
    voices += voice;
    if (!speakers.TopicOf(speakers.number(n), topic)) continue;
    for (size_t w = 0; w < topic.size(); ++w) about[w] += voice * topic[w];
  }
  double square = 0;
  for (const double x : about) square += x * x;
  const double length = std::sqrt(square);
  topics.agreement = ClampSignal(static_cast<float>(length / voices), 0);
  for (size_t i = 0; i < hits.size(); ++i) {
    if (!(length > 0) || !speakers.TopicOf(i, topic)) continue;
    double common = 0;
    for (size_t w = 0; w < topic.size(); ++w) common += topic[w] * about[w];
    topics.hits[i] = ClampSignal(static_cast<float>(common / length), 0);
  }
  return topics;
}

}  // namespace likeness
