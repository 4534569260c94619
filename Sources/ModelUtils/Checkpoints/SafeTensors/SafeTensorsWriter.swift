import ModelCore
import SystemPackage

extension SafeTensors {
  /// Writes a state dict. The bytes are those of Python's library for the same tensors and at most one metadata key (it
  /// has no order of keys; here they are sorted).
  ///
  /// `path` may be a file that the tensors are still read from: it is replaced once all is written. One tensor after
  /// the other is fetched, the next ones while it is written, and let go.
  /// - Returns: the number of bytes written.
  /// - Throws: `ModelError` as `Layout` does, when the elements cannot be read, or when the file cannot be written; the
  ///   file that stood at `path` is then untouched.
  @discardableResult
  public static func write(_ state: StateDict, to location: some FileLocation) throws -> Int {
    let path = try location.filePath
    return try write(state, name: path.string) { try AtomicFile(replacing: path, expectedSize: $0) }
  }

  /// Writes a state dict into what `open` begins, which is told the size.
  static func write<Sink: ByteSink>(_ state: StateDict, name: String, open: (Int) throws -> Sink) throws -> Int {
    let file = try written(state, name: name, open: open)
    try file.commit()
    return file.position
  }

  /// All bytes of the file, which is not committed.
  /// - Parameters:
  ///   - name: for messages.
  ///   - open: begins the file, of which it is told the size.
  static func written<Sink: ByteSink>(_ state: StateDict, name: String, open: (Int) throws -> Sink) throws -> Sink {
    do {
      let layout = try Layout(state)
      let file = try open(layout.byteCount)
      try file.write(layout.header)
      let items = layout.items.filter { $0.tensor.byteCount > 0 }
      try ReadAhead.forEachPart(of: items, tensor: \.tensor) { item, part in
        do { return try ContiguousBytes(item.tensor, part: part) } catch let error as ModelError {
          throw error.file == nil ? error.about(item.name) : error
        }
      } consume: { _, _, held in
        try file.write(held.bytes)
      }
      guard file.position == layout.byteCount else {
        throw ModelError(.system, "\(file.position) bytes were written where \(layout.byteCount) were planned")
      }
      return file
    } catch let error as ModelError {
      throw error.inFile(name)
    }
  }
}
