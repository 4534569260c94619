import ModelCore

/// A message as the pieces that are written one behind the other: stretches of the file that it came from, new bytes,
/// and tensors, whose bytes are read when they are written.
struct ProtobufPieces {
  private enum Piece: Sendable {
    case stretch(ProtobufStretch)
    case bytes([UInt8])
    case tensor(Tensor)

    /// How many bytes are to be made before it can be handed out.
    var preparedCount: Int { if case .tensor(let tensor) = self { tensor.byteCount } else { 0 } }

    var prepared: ContiguousBytes? {
      get throws { if case .tensor(let tensor) = self { try ContiguousBytes(tensor) } else { nil } }
    }
  }

  private var pieces: [Piece] = []
  /// How many bytes they have.
  private(set) var count = 0

  init(_ message: ProtobufMessage) { append(message) }

  private init() {}

  private mutating func append(_ message: ProtobufMessage) {
    if let source = message.source { return append(source) }
    for field in message.fields { append(field) }
  }

  private mutating func append(_ field: ProtobufMessage.Field) {
    if let source = field.source { return append(source) }
    func header(_ type: Int) -> [UInt8] {
      var bytes: [UInt8] = []
      Self.append(UInt64(field.number << 3 | type), to: &bytes)
      return bytes
    }
    func header(count: Int) -> [UInt8] {
      var bytes = header(2)
      Self.append(UInt64(count), to: &bytes)
      return bytes
    }
    switch field.value {
    case .varint(let value):
      var bytes = header(0)
      Self.append(value, to: &bytes)
      append(bytes)
    case .fixed64(let value): append(header(1) + withUnsafeBytes(of: value.littleEndian, Array.init))
    case .fixed32(let value): append(header(5) + withUnsafeBytes(of: value.littleEndian, Array.init))
    case .stretch(let stretch):
      append(header(count: stretch.count))
      append(stretch)
    case .bytes(let bytes): append(header(count: bytes.count) + bytes)
    case .message(let message):
      let inner = ProtobufPieces(message)
      append(header(count: inner.count))
      for piece in inner.pieces { append(piece) }
    case .tensor(let tensor):
      append(header(count: tensor.byteCount))
      pieces.append(.tensor(tensor))
      count += tensor.byteCount
    }
  }

  private mutating func append(_ piece: Piece) {
    switch piece {
    case .stretch(let stretch): append(stretch)
    case .bytes(let bytes): append(bytes)
    case .tensor(let tensor):
      pieces.append(piece)
      count += tensor.byteCount
    }
  }

  /// Neighbours in the file become one stretch.
  private mutating func append(_ stretch: ProtobufStretch) {
    count += stretch.count
    if case .stretch(let last) = pieces.last, last.file === stretch.file, last.offset + last.count == stretch.offset {
      pieces[pieces.count - 1] = .stretch(ProtobufStretch(last.file, last.offset, last.count + stretch.count))
    } else {
      pieces.append(.stretch(stretch))
    }
  }

  private mutating func append(_ bytes: [UInt8]) {
    count += bytes.count
    if case .bytes(var last) = pieces.last {
      pieces.removeLast()
      last += bytes
      pieces.append(.bytes(last))
    } else {
      pieces.append(.bytes(bytes))
    }
  }

  /// Hands out the bytes in order, while the next tensors are computed. Pages of a mapped file are let go afterwards.
  /// - Throws: what `body` throws, and `ModelError` for a tensor that cannot be read.
  func read(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
    try ReadAhead.forEach(pieces, byteCount: \.preparedCount) {
      try $0.prepared
    } consume: { piece, held in
      switch piece {
      case .stretch(let stretch):
        try withExtendedLifetime(stretch) { try body(stretch.bytes) }
        stretch.file.releasePages(stretch.offset, stretch.count)
      case .bytes(let bytes): try bytes.withUnsafeBytes(body)
      case .tensor(let tensor):
        if let held { try body(held.bytes) }
        tensor.releasePages()
      }
    }
  }

  /// A varint.
  static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }
}
