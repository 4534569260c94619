/// A protobuf message that is being written.
struct ProtobufMessage {
  private(set) var bytes: [UInt8] = []

  mutating func add(_ field: UInt64, _ value: Int) {
    // Zero is what an absent number means.
    guard value != 0 else { return }
    addVarint(field << 3)
    addVarint(UInt64(bitPattern: Int64(value)))
  }

  mutating func add(_ field: UInt64, _ value: Double) {
    addVarint(field << 3 | 1)
    add(littleEndian: value.bitPattern)
  }

  mutating func add(_ field: UInt64, _ value: Float) {
    addVarint(field << 3 | 5)
    add(littleEndian: value.bitPattern)
  }

  mutating func add(_ field: UInt64, _ content: some Collection<UInt8>) {
    addVarint(field << 3 | 2)
    addVarint(UInt64(content.count))
    bytes += content
  }

  mutating func add(_ field: UInt64, _ body: (inout ProtobufMessage) -> Void) {
    var inner = ProtobufMessage()
    body(&inner)
    add(field, inner.bytes)
  }

  private mutating func addVarint(_ value: UInt64) {
    var rest = value
    while rest > 127 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 128)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private mutating func add(littleEndian value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
  }
}

/// What an event file holds: a length, the length's check, a protobuf `Event`, the event's check.
enum EventRecord {
  /// The first record of every file.
  static func version(time: Double) -> [UInt8] {
    record { event in
      event.add(1, time)
      event.add(3, "brain.Event:2".utf8)
    }
  }

  static func scalar(_ tag: String, _ value: Float, step: Int, time: Double) -> [UInt8] {
    summary(step: step, time: time) { entry in
      entry.add(1, tag.utf8)
      entry.add(2, value)
    }
  }

  /// - Parameter png: a picture of three channels.
  static func image(
    _ tag: String, png: [UInt8], height: Int, width: Int, step: Int, time: Double
  ) -> [UInt8] {
    summary(step: step, time: time) { entry in
      entry.add(1, tag.utf8)
      entry.add(4) { image in
        image.add(1, height)
        image.add(2, width)
        image.add(3, 3)
        image.add(4, png)
      }
    }
  }

  private static func summary(step: Int, time: Double, _ body: (inout ProtobufMessage) -> Void) -> [UInt8] {
    record { event in
      event.add(1, time)
      event.add(2, step)
      event.add(5) { $0.add(1, body) }
    }
  }

  private static func record(_ body: (inout ProtobufMessage) -> Void) -> [UInt8] {
    var event = ProtobufMessage()
    body(&event)
    let length = littleEndian(UInt64(event.bytes.count))
    return length + littleEndian(CRC32C.masked(length)) + event.bytes + littleEndian(CRC32C.masked(event.bytes))
  }

  private static func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }
}
