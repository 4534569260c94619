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

  /// All bytes of a storage where they are, or as they were computed once.
  package init(_ storage: Storage) throws {
    self.storage = storage
    if let memory = storage.stableBytes {
      bytes = memory
      isCopy = false
    } else {
      bytes = try Self.copy(storage.byteCount, storage.copyBytes)
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
