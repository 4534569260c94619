import Synchronization

/// Memory of batches that are done, for those to come.
final class BatchMemory: Sendable {
  private struct Free: @unchecked Sendable { var buffers: [UnsafeMutableRawBufferPointer] = [] }

  private let kept: Int
  private let free = Mutex(Free())

  /// - Parameter kept: how many buffers wait to be taken again.
  init(kept: Int) { self.kept = kept }

  /// So many bytes, with what stood in them before.
  func take(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    let known = free.withLock { free -> UnsafeMutableRawBufferPointer? in
      free.buffers.firstIndex { $0.count == byteCount }.map { free.buffers.remove(at: $0) }
    }
    return known ?? UnsafeMutableRawBufferPointer.allocate(byteCount: byteCount, alignment: 64)
  }

  func giveBack(_ buffer: UnsafeMutableRawBufferPointer) {
    let superfluous = free.withLock { free -> UnsafeMutableRawBufferPointer? in
      free.buffers.append(buffer)
      return free.buffers.count > kept ? free.buffers.removeFirst() : nil
    }
    superfluous?.deallocate()
  }

  deinit {
    free.withLock { free in
      for buffer in free.buffers { buffer.deallocate() }
      free.buffers = []
    }
  }
}
