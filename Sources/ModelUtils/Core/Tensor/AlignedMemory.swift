#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory for elements, which may be refused: what Swift allocates ends the process where there is none.
package enum AlignedMemory {
  /// What vector instructions like.
  package static let alignment = 64
  /// From this size on memory lies on pages of this size, where the system has them: taking it 4 kB at a time, and
  /// finding it again, would be a large part of what a pass over it takes.
  private static let hugePage = 2 << 20

  /// Memory that begins at a multiple of `alignment`, to be given back by `free`.
  /// - Throws: `ModelError` where there is none left, by a limit or in the machine, and for a size below 0.
  package static func allocate(_ byteCount: Int) throws -> UnsafeMutableRawBufferPointer {
    try Storage.checkMemory(byteCount)
    var memory: UnsafeMutableRawPointer?
    let isLarge = byteCount >= hugePage
    guard posix_memalign(&memory, isLarge ? hugePage : alignment, max(1, byteCount)) == 0, let memory else {
      throw ModelError(.limit, "there is no memory left for \(byteCount) bytes")
    }
    #if canImport(Glibc) || canImport(Musl)
      if isLarge { _ = madvise(memory, byteCount / hugePage * hugePage, MADV_HUGEPAGE) }
    #endif
    return UnsafeMutableRawBufferPointer(start: memory, count: byteCount)
  }

  package static func free(_ memory: UnsafeMutableRawPointer?) {
    #if canImport(Glibc)
      Glibc.free(memory)
    #elseif canImport(Musl)
      Musl.free(memory)
    #else
      Darwin.free(memory)
    #endif
  }
}
