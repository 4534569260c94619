#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Memory for elements, which may be refused: what Swift allocates ends the process where there is none.
package enum AlignedMemory {
  /// Memory that begins at a multiple of 64, to be given back by `free`.
  /// - Throws: `ModelError` where there is none left, by a limit or in the machine, and for a size below 0.
  package static func allocate(_ byteCount: Int) throws -> UnsafeMutableRawBufferPointer {
    try Storage.checkMemory(byteCount)
    var memory: UnsafeMutableRawPointer?
    guard posix_memalign(&memory, 64, max(1, byteCount)) == 0, let memory else {
      throw ModelError(.limit, "there is no memory left for \(byteCount) bytes")
    }
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
