import ModelCore

/// Prepares what is to be written next while the ones before are being written.
enum ReadAhead {
  /// Calls `consume` with the parts of each item's tensor, in order and one at a time; `prepare` reads them, in parallel
  /// with each other and with that.
  static func forEachPart<Item: Sendable>(
    of items: [Item], tensor: (Item) -> Tensor,
    prepare: @Sendable (Item, _ part: Range<Int>) throws -> ContiguousBytes,
    consume: (Item, _ part: Range<Int>, ContiguousBytes) throws -> Void
  ) throws {
    let parts = items.flatMap { item in tensor(item).parts.map { (item: item, part: $0) } }
    try forEach(parts, byteCount: \.part.count) {
      try prepare($0.item, $0.part)
    } consume: {
      try consume($0.item, $0.part, $1)
    }
  }

  /// A batch takes items up to this many bytes, or a single larger one. At most two batches are held.
  private static let batchSize = 2 << 20

  private enum Job<Item, Value> {
    case consume([(Item, Value)])
    case prepare(Item)
    case ready(Item, Value)
  }

  /// Calls `consume` with each item and its value, in order and one at a time; `prepare` makes the values, in parallel
  /// with each other and with that.
  static func forEach<Item: Sendable, Value: Sendable>(
    _ items: [Item], byteCount: (Item) -> Int, prepare: @Sendable (Item) throws -> Value,
    consume: (Item, Value) throws -> Void
  ) throws {
    try withoutActuallyEscaping(consume) { consume in
      // Only one job at a time calls it.
      nonisolated(unsafe) let consume = consume
      var rest = items[...]
      var jobs: [Job<Item, Value>] = []
      repeat {
        jobs = [
          .consume(
            jobs.compactMap { job in
              if case .ready(let item, let value) = job { (item, value) } else { nil }
            })
        ]
        var size = 0
        while let item = rest.first, jobs.count == 1 || size + byteCount(item) <= batchSize {
          size += byteCount(item)
          jobs.append(.prepare(rest.removeFirst()))
        }
        try Parallel.update(&jobs) { job in
          switch job {
          case .consume(let ready): for (item, value) in ready { try consume(item, value) }
          case .prepare(let item): job = .ready(item, try prepare(item))
          case .ready: break
          }
        }
      } while jobs.count > 1
    }
  }
}
