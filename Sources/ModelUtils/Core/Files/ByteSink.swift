import SystemPackage

/// Where the bytes of a file go, one after the other.
package protocol ByteSink: AnyObject {
  /// How many bytes have been written.
  var position: Int { get }

  /// Appends bytes.
  func write(_ bytes: UnsafeRawBufferPointer) throws

  /// After the last byte: makes all of them stand where they are to.
  func commit() throws
}

extension ByteSink {
  /// Appends bytes.
  package func write(_ bytes: some Collection<UInt8>) throws { try bytes.withRawBytes { try write($0) } }
}

extension Collection<UInt8> {
  /// The bytes where they stand, or a copy of them.
  func withRawBytes(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    if try withContiguousStorageIfAvailable({ try body(UnsafeRawBufferPointer($0)) }) == nil {
      try Array(self).withUnsafeBytes(body)
    }
  }
}

/// The bytes of a file that go into a pipe or whatever else a descriptor leads to.
///
/// What is cut short stays so: only whoever reads it to its end, and is told that all went well, has the whole.
package final class StreamedFile: ByteSink {
  private let descriptor: FileDescriptor
  private let name: String
  package private(set) var position = 0
  /// The last bytes, which are few and wait for more.
  private var buffer: [UInt8] = []
  private static let bufferSize = 256 << 10

  /// - Parameter name: for messages.
  package init(_ descriptor: FileDescriptor, name: String) { (self.descriptor, self.name) = (descriptor, name) }

  package func write(_ bytes: UnsafeRawBufferPointer) throws {
    position += bytes.count
    if buffer.count + bytes.count > Self.bufferSize { try commit() }
    if bytes.count > Self.bufferSize {
      try send(bytes)
    } else {
      buffer.append(contentsOf: bytes)
    }
  }

  package func commit() throws {
    try buffer.withUnsafeBytes { try send($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func send(_ bytes: UnsafeRawBufferPointer) throws {
    do { try descriptor.writeAll(bytes) } catch {
      throw ModelError(.system, "cannot be written: \(error)", file: name)
    }
  }
}
