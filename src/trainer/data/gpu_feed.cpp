// Batches on their way to a GPU: copied on a stream of their own while the last step still computes. Written against
// libtorch's device-neutral interface, so that it needs no CUDA to build.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <cstring>
#include <optional>

namespace {

struct Feed {
  explicit Feed(int8_t index)
      : guard(c10::DeviceType::CUDA), device(c10::DeviceType::CUDA, index), copies(guard.getStreamFromGlobalPool(device)) {}

  c10::Event mark() const {
    c10::Event event(c10::DeviceType::CUDA, c10::EventFlag::BACKEND_DEFAULT);
    event.record(guard.getStream(device));
    return event;
  }

  c10::impl::VirtualGuardImpl guard;
  c10::Device device;
  c10::Stream copies;
  std::optional<c10::Event> ended;         // the last step's end
  std::optional<c10::Event> began, before; // the beginning of the step that is queued, and the end of the one before it
  double waited = 0;                       // milliseconds between such pairs
};

char* told(const std::exception& error) { return strdup(error.what()); }

}  // namespace

// Texts that these return are null for success, or what went wrong, to be given back to neurosearch_free_text.
extern "C" {

char* neurosearch_feed_new(int8_t index, Feed** feed) try {
  *feed = new Feed(index);
  return nullptr;
} catch (const std::exception& error) {
  return told(error);
}

void neurosearch_feed_free(Feed* feed) { delete feed; }

// `*output` becomes an f32 tensor in memory that a GPU reads by itself.
char* neurosearch_feed_pinned(const int64_t* sizes, size_t count, at::Tensor** output) try {
  *output = new at::Tensor(at::empty({sizes, count}, at::TensorOptions().dtype(at::kFloat).pinned_memory(true)));
  return nullptr;
} catch (const std::exception& error) {
  return told(error);
}

// `*output` becomes the pinned tensor's copy, which whatever is queued on the computing stream from now on waits for.
char* neurosearch_feed_copy(Feed* feed, const at::Tensor* host, at::Tensor** output) try {
  const auto computing = feed->guard.getStream(feed->device);
  c10::Event copied(c10::DeviceType::CUDA);
  at::Tensor there;
  {
    const c10::StreamGuard on_its_own(feed->copies);
    there = host->to(feed->device, at::kFloat, /*non_blocking=*/true);
    copied.record(feed->copies);
  }
  copied.block(computing);
  // Its memory belongs to the copying stream, which must not reuse it before the steps that read it are over.
  there.record_stream(computing);
  *output = new at::Tensor(there);
  return nullptr;
} catch (const std::exception& error) {
  return told(error);
}

// A step has been queued. Waits for the end of the one before it, so that the host is never more than one ahead.
char* neurosearch_feed_ended(Feed* feed) try {
  auto ended = feed->mark();
  if (feed->ended) feed->ended->synchronize();
  if (feed->began && feed->before) {
    feed->began->synchronize();
    feed->waited += feed->before->elapsedTime(*feed->began);
  }
  feed->began.reset();
  feed->ended.emplace(std::move(ended));
  return nullptr;
} catch (const std::exception& error) {
  return told(error);
}

// A batch is there: from here on the next step computes. `counted`: the time since the last step was waiting for data.
char* neurosearch_feed_began(Feed* feed, bool counted) try {
  feed->before.reset();
  if (counted && feed->ended) {
    feed->began.emplace(feed->mark());
    feed->before.emplace(std::move(*feed->ended));
    feed->ended.reset();
  }
  return nullptr;
} catch (const std::exception& error) {
  return told(error);
}

double neurosearch_feed_waited(const Feed* feed) { return feed->waited / 1000; }

// Bytes that the device has free; 0 where it does not say.
uint64_t neurosearch_free_memory(int8_t index) try {
  return c10::getDeviceAllocator(c10::DeviceType::CUDA)->getMemoryInfo(index).first;
} catch (const std::exception&) {
  return 0;
}

}  // extern "C"
