import ModelCore
import SystemPackage

extension SafeTensors {
  /// Tensors smaller than this are gathered before they go to the file.
  private static let smallTensor = 64 << 10
  private static let bufferSize = 1 << 20

  /// Writes a state dict. The bytes are those of Python's library for the same tensors and at most one metadata key (it has no
  /// order of keys; here they are sorted).
  ///
  /// `path` may be a file that the tensors are still read from: it is replaced once all is written. One tensor after the other
  /// is fetched and let go.
  /// - Returns: the number of bytes written.
  /// - Throws: `ModelError` as `Layout` does, when the elements cannot be read, or when the file cannot be written; the file
  ///   that stood at `path` is then untouched.
  @discardableResult
  public static func write(_ state: StateDict, to path: FilePath) throws -> Int {
    do {
      let layout = try Layout(state)
      let file = try AtomicFile(replacing: path)
      try file.write(layout.header)
      var buffer: [UInt8] = []
      for item in layout.items where item.tensor.byteCount > 0 {
        do {
          try item.tensor.withContiguousBytes { bytes in
            if bytes.count < smallTensor { return buffer.append(contentsOf: bytes) }
            try flush(&buffer, to: file)
            try file.write(bytes)
          }
        } catch let error as ModelError {
          // A message of the file that is written names no tensor.
          throw error.file == nil ? error.about(item.name) : error
        }
        if buffer.count >= bufferSize { try flush(&buffer, to: file) }
      }
      try flush(&buffer, to: file)
      guard file.position == layout.byteCount else {
        throw ModelError("\(file.position) bytes were written where \(layout.byteCount) were planned")
      }
      try file.commit()
      return file.position
    } catch let error as ModelError {
      throw error.inFile(path.string)
    }
  }

  private static func flush(_ buffer: inout [UInt8], to file: AtomicFile) throws {
    try file.write(buffer)
    buffer.removeAll(keepingCapacity: true)
  }
}
