#include "cluster/remote_searcher.h"

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

#include "base/log.h"
#include "cluster/fan_out.h"
#include "cluster/leaf_link.h"
#include "cluster/routing.h"

namespace likeness {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kProbeEvery{200};

}  // namespace

// The leaves that there are, and a thread that asks them how they are.
class RemoteSearcher::Leaves {
 public:
  explicit Leaves(RemoteOptions options) : options_(std::move(options)), hedges_(options_.hedge_share) {}

  ~Leaves() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  void Start(milliseconds first_wait) {
    Refresh();
    const Deadline deadline = Deadline::After(first_wait);
    while (!deadline.Passed()) {
      const auto links = this->links();
      for (const auto& link : links) link->Probe("");
      if (!links.empty() &&
          std::ranges::all_of(links, [](const auto& link) { return link->description() != nullptr; })) {
        break;
      }
      std::this_thread::sleep_for(milliseconds(20));
      Refresh();
    }
    thread_ = std::thread([this] { Follow(); });
  }

  std::shared_ptr<const Routing> RouteTo(const Snapshot& snapshot) {
    const std::lock_guard lock(mutex_);
    uint64_t version = membership_;
    for (const auto& link : links_) version += link->version();
    Known& known = routings_[snapshot.name()];
    if (known.routing == nullptr || known.version != version) {
      known.routing = std::make_shared<const Routing>(RouteOf(snapshot, links_));
      known.version = version;
    }
    known.used = ++uses_;
    if (routings_.size() > kMostRoutings) {
      routings_.erase(std::ranges::min_element(routings_, {}, [](const auto& one) { return one.second.used; }));
    }
    return known.routing;
  }

  absl::StatusOr<LeafAnswer> Ask(const Snapshot& snapshot, const VisualQuery& query, const AllowedDocs& allowed) {
    {
      const std::lock_guard lock(mutex_);
      serving_ = snapshot.name();
    }
    const auto routing = RouteTo(snapshot);
    const FanOutOptions options{options_.patience, options_.hedge ? &hedges_ : nullptr};
    if (snapshot.young() == 0) return FanOut(snapshot, *routing, query, allowed, options);
    // Pictures that are in no release yet, which only this process has: few, and soon looked through.
    const size_t sealed = snapshot.segments().size() - snapshot.young();
    const auto young = snapshot.segments().subspan(sealed);
    const AllowedDocs allowed_young(allowed.begin() + static_cast<std::ptrdiff_t>(allowed.empty() ? 0 : sealed),
                                    allowed.end());
    std::vector<LeafAnswer> answers(2);
    LIKENESS_ASSIGN_OR_RETURN(
        answers[0], AnswerLeaf(Snapshot(snapshot.name(), {young.begin(), young.end()}), query, allowed_young, 1));
    LIKENESS_ASSIGN_OR_RETURN(answers[1], FanOut(snapshot, *routing, query, allowed, options));
    return MergeAnswers(answers, query.k);
  }

  bool Ready(const Snapshot& snapshot) {
    const auto routing = RouteTo(snapshot);
    const bool whole = routing->unserved.empty() && std::ranges::all_of(routing->sets, [](const ReplicaSet& set) {
                         return std::ranges::any_of(set.leaves, [](const auto& leaf) { return leaf->up(); });
                       });
    const std::lock_guard lock(mutex_);
    if (coming_ != snapshot.name()) {
      coming_ = snapshot.name();
      since_ = steady_clock::now();
    }
    const bool tired = !whole && steady_clock::now() - since_ > options_.switch_patience;
    if (tired) {
      Log(LogLevel::kWarning, "release_taken_in_part", {{"release", snapshot.name()}, {"reason", routing->why}});
    }
    if (whole || tired) serving_ = snapshot.name();
    return whole || tired;
  }

  std::string MetricsText() const {
    std::ostringstream text;
    const auto links = this->links();
    const auto family = [&](const char* name, const char* type, const char* help, const auto& value) {
      text << "# HELP " << name << " " << help << "\n# TYPE " << name << " " << type << "\n";
      for (const auto& link : links) text << name << "{leaf=\"" << link->address() << "\"} " << value(*link) << "\n";
    };
    family("likeness_leaf_up", "gauge", "Whether the leaf answers.", [](const LeafLink& leaf) { return leaf.up(); });
    family("likeness_leaf_calls_total", "counter", "Queries sent to the leaf.",
           [](const LeafLink& leaf) { return leaf.counts().calls; });
    family("likeness_leaf_failures_total", "counter",
           "Queries that the leaf could not be reached for or was late with.",
           [](const LeafLink& leaf) { return leaf.counts().failures; });
    family("likeness_leaf_in_flight", "gauge", "Queries sent and not answered yet.",
           [](const LeafLink& leaf) { return leaf.counts().in_flight; });
    family("likeness_leaf_p95_seconds", "gauge", "Within which 95 of 100 of its last answers came.",
           [](const LeafLink& leaf) { return leaf.counts().p95 / 1000; });
    const auto said = [](auto member) {
      return [member](const LeafLink& leaf) {
        const auto description = leaf.description();
        return description == nullptr ? uint64_t{0} : (*description).*member;
      };
    };
    family("likeness_leaf_waiting", "gauge", "Queries that wait or run at the leaf, of all roots.",
           said(&LeafDescription::waiting));
    family("likeness_leaf_searched_total", "counter", "Queries that the leaf has answered, of all roots.",
           said(&LeafDescription::searched));
    family("likeness_leaf_refused_total", "counter", "Queries that the leaf sent away because too many waited.",
           said(&LeafDescription::refused));
    family("likeness_leaf_late_total", "counter", "Queries whose deadline had passed before the leaf came to them.",
           said(&LeafDescription::late));
    text << "# HELP likeness_hedges_total Second requests sent.\n# TYPE likeness_hedges_total counter\n"
         << "likeness_hedges_total " << hedges_.spent() << "\n";
    return text.str();
  }

 private:
  static constexpr size_t kMostRoutings = 4;
  struct Known {
    std::shared_ptr<const Routing> routing;
    uint64_t version = 0;
    uint64_t used = 0;
  };

  std::vector<std::shared_ptr<LeafLink>> links() const {
    const std::lock_guard lock(mutex_);
    return links_;
  }

  // Links to what the list says now. Those that left it end with their last call.
  void Refresh() {
    std::vector<std::string> addresses = options_.leaves();
    std::ranges::sort(addresses);
    const auto rest = std::ranges::unique(addresses);
    addresses.erase(rest.begin(), rest.end());
    const auto before = links();
    if (std::ranges::equal(before, addresses, {}, &LeafLink::address)) return;
    std::vector<std::shared_ptr<LeafLink>> after;
    uint64_t gone = 0;
    for (const std::string& address : addresses) {
      const auto known = std::ranges::find(before, address, &LeafLink::address);
      after.push_back(known != before.end() ? *known : std::make_shared<LeafLink>(address, options_.token));
    }
    for (const auto& link : before) gone += link->version();
    const std::lock_guard lock(mutex_);
    links_ = std::move(after);
    membership_ += gone + 1;  // so that the sum with the versions of the links is one that has not been
  }

  void Follow() {
    for (;;) {
      std::string serving;
      {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, kProbeEvery, [&] { return closing_; });
        if (closing_) return;
        serving = serving_;
      }
      Refresh();
      for (const auto& link : links()) link->Probe(serving);
    }
  }

  const RemoteOptions options_;
  HedgeBudget hedges_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // All of the following are guarded by mutex_.
  bool closing_ = false;
  std::vector<std::shared_ptr<LeafLink>> links_;  // sorted by address
  uint64_t membership_ = 0;
  uint64_t uses_ = 0;
  std::map<std::string, Known, std::less<>> routings_;  // by release
  std::string serving_;                                 // release
  std::string coming_;                                  // release that is waited for
  steady_clock::time_point since_{};
  std::thread thread_;
};

RemoteSearcher::RemoteSearcher(std::unique_ptr<Leaves> leaves) : leaves_(std::move(leaves)) {}
RemoteSearcher::~RemoteSearcher() = default;

std::unique_ptr<RemoteSearcher> RemoteSearcher::Start(RemoteOptions options, milliseconds first_wait) {
  auto leaves = std::make_unique<Leaves>(std::move(options));
  leaves->Start(first_wait);
  return std::unique_ptr<RemoteSearcher>(new RemoteSearcher(std::move(leaves)));
}

absl::StatusOr<LeafAnswer> RemoteSearcher::Ask(const Snapshot& snapshot, const VisualQuery& query,
                                               const AllowedDocs& allowed) {
  return leaves_->Ask(snapshot, query, allowed);
}

bool RemoteSearcher::Ready(const Snapshot& snapshot) { return leaves_->Ready(snapshot); }
std::string RemoteSearcher::MetricsText() const { return leaves_->MetricsText(); }

}  // namespace likeness
