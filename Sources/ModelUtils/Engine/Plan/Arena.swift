import ModelCore

/// One allocation in which all that a session computes lies, each buffer for as long as it is used.
final class Arena: @unchecked Sendable {
  static let alignment = AlignedMemory.alignment

  let pointer: UnsafeMutableRawPointer
  let byteCount: Int

  /// - Throws: `ModelError` for more bytes than there are.
  init(byteCount: Int) throws {
    self.byteCount = byteCount
    pointer = try AlignedMemory.allocate(byteCount).baseAddress!
  }

  deinit { AlignedMemory.free(pointer) }

  /// The most bytes of buffers that are in use at one step: what no arrangement of them can do without.
  static func most(_ buffers: [(bytes: Int, first: Int, last: Int)]) -> Int {
    buffers.map { buffer in
      buffers.reduce(0) { $0 + ($1.first <= buffer.first && buffer.first <= $1.last ? $1.bytes : 0) }
    }.max() ?? 0
  }

  /// Offsets for buffers that are in use from one step to another, the largest placed first and each at the lowest
  /// offset that is free for all its time.
  static func offsets(_ buffers: [(bytes: Int, first: Int, last: Int)]) -> (offsets: [Int], total: Int) {
    var offsets = [Int](repeating: 0, count: buffers.count)
    var placed: [Int] = []
    var total = 0
    for index in buffers.indices.sorted(by: { (buffers[$1].bytes, $0) < (buffers[$0].bytes, $1) }) {
      let buffer = buffers[index]
      let beside = placed.filter { buffers[$0].first <= buffer.last && buffer.first <= buffers[$0].last }
        .sorted { offsets[$0] < offsets[$1] }
      let size = (buffer.bytes + alignment - 1) / alignment * alignment
      var offset = 0
      for other in beside {
        if offsets[other] >= offset + size { break }
        offset = max(offset, offsets[other] + (buffers[other].bytes + alignment - 1) / alignment * alignment)
      }
      offsets[index] = offset
      total = max(total, offset + size)
      placed.append(index)
    }
    return (offsets, total)
  }
}
