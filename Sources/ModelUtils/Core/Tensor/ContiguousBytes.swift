/// A tensor's elements in row-major order, or a storage's bytes, held for longer than one call.
package final class ContiguousBytes: @unchecked Sendable {
  package let bytes: UnsafeRawBufferPointer
  private let storage: Storage
  private let isCopy: Bool

  /// The elements where they are, or a packed copy of those that are strided or computed.
  package init(_ tensor: Tensor) throws {
    storage = tensor.storage
    if tensor.isContiguous, let memory = storage.stableBytes {
      bytes = UnsafeRawBufferPointer(rebasing: memory[tensor.byteOffset..<tensor.byteOffset + tensor.byteCount])
      isCopy = false
    } else {
      bytes = try Self.copy(tensor.byteCount, tensor.copyBytes)
      isCopy = true
    }
  }

  /// One of a tensor's `parts`.
  package convenience init(_ tensor: Tensor, part: Range<Int>) throws {
    if part.count == tensor.byteCount { try self.init(tensor) } else { try self.init(tensor.storage, part: part) }
  }

  /// Bytes of a storage where they are, or as they were computed once.
  /// - Parameter part: which of them; all when nil.
  package init(_ storage: Storage, part: Range<Int>? = nil) throws {
    self.storage = storage
    let part = part ?? 0..<storage.byteCount
    if let memory = storage.stableBytes {
      bytes = UnsafeRawBufferPointer(rebasing: memory[part])
      isCopy = false
    } else {
      bytes = try Self.copy(part.count) { try storage.copyBytes(of: part, to: $0) }
      isCopy = true
    }
  }

  private static func copy(
    _ byteCount: Int, _ fill: (UnsafeMutableRawBufferPointer) throws -> Void
  ) throws -> UnsafeRawBufferPointer {
    let memory = try AlignedMemory.allocate(byteCount)
    do { try fill(memory) } catch {
      AlignedMemory.free(memory.baseAddress)
      throw error
    }
    return UnsafeRawBufferPointer(memory)
  }

  deinit {
    if isCopy { AlignedMemory.free(UnsafeMutableRawPointer(mutating: bytes.baseAddress)) }
  }
}
