/// A tensor's elements in row-major order, held for longer than one call.
package final class ContiguousBytes {
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
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: tensor.byteCount, alignment: 64)
      do { try tensor.copyBytes(to: copy) } catch {
        copy.deallocate()
        throw error
      }
      bytes = UnsafeRawBufferPointer(copy)
      isCopy = true
    }
  }

  deinit {
    if isCopy { bytes.deallocate() }
  }
}
