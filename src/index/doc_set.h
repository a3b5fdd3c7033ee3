// A set of documents of one segment: those that a filter lets through, or those that are deleted.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "index/allowed_nodes.h"
#include "types/doc_id.h"

namespace likeness {

// A bitmap of fixed size, one bit a document. A value; as a const, any number of threads may read it.
// REQUIRES of every DocId: below size()
class DocSet {
 public:
  // The empty set of `size` possible documents.
  explicit DocSet(size_t size) : size_(size), words_((size + 63) / 64, 0) {}
  static DocSet All(size_t size) {
    DocSet set(size);
    set.Invert();
    return set;
  }

  size_t size() const { return size_; }
  void Set(DocId doc) {
    kept_.Drop();
    words_[doc.value() / 64] |= uint64_t{1} << (doc.value() % 64);
  }
  void Clear(DocId doc) {
    kept_.Drop();
    words_[doc.value() / 64] &= ~(uint64_t{1} << (doc.value() % 64));
  }
  bool Test(DocId doc) const { return (words_[doc.value() / 64] >> (doc.value() % 64) & 1) != 0; }

  size_t Count() const {
    size_t count = 0;
    for (const uint64_t word : words_) count += static_cast<size_t>(std::popcount(word));
    return count;
  }

  // REQUIRES of the three: other.size() == size()
  void And(const DocSet& other) {
    kept_.Drop();
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= other.words_[i];
  }
  void AndNot(const DocSet& other) {
    kept_.Drop();
    for (size_t i = 0; i < words_.size(); ++i) words_[i] &= ~other.words_[i];
  }
  void Or(const DocSet& other) {
    kept_.Drop();
    for (size_t i = 0; i < words_.size(); ++i) words_[i] |= other.words_[i];
  }
  void Invert() {
    kept_.Drop();
    for (uint64_t& word : words_) word = ~word;
    if (size_ % 64 != 0) words_.back() &= (uint64_t{1} << (size_ % 64)) - 1;
  }

  // Bit i % 64 of word i / 64 is document i; bits beyond size() are 0.
  std::span<const uint64_t> words() const { return words_; }

  // What a search of a graph wants to know of the set, where it was asked of that graph before; null where not.
  // REQUIRES: size() is the number of the graph's documents, codes are theirs
  std::shared_ptr<const AllowedNodes> NodesOf(const GraphView& graph, CodeRows codes) const {
    return kept_.For(graph, codes, words_);
  }

  friend bool operator==(const DocSet&, const DocSet&) = default;

 private:
  size_t size_;
  std::vector<uint64_t> words_;
  mutable KeptNodes kept_;
};

}  // namespace likeness
