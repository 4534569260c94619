import ModelCore

/// The header of a safetensors file, as far as JSON goes: what the names and numbers mean is checked by
/// `tensors(in:from:)`.
struct SafeTensorsHeader {
  struct Entry {
    var name: String
    var dtype: DType
    var shape: [Int]
    /// The product of the lengths, multiplied from the left; nil where that overflows 64 bits before a 0 comes.
    var count: UInt64?
    var start: UInt64
    var end: UInt64
  }

  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String]?

  /// - Throws: `ModelError` at the byte where the text is no JSON or no header.
  init(_ text: UnsafeRawBufferPointer, file: String, base: Int) throws {
    var reader = JSONReader(text, file: file, base: base)
    var hasMetadata = false
    try reader.openObject()
    while let name = try reader.nextName() {
      if name == "__metadata__" {
        guard !hasMetadata else { throw reader.failure("`__metadata__` occurs twice", at: name.offset) }
        hasMetadata = true
        try readMetadata(&reader)
      } else {
        let name = name.string
        do {
          entries.append(try Self.readEntry(&reader, name: name))
        } catch let error as ModelError {
          throw error.about(name)
        }
      }
    }
    try reader.finish()
  }

  private mutating func readMetadata(_ reader: inout JSONReader) throws {
    if try reader.readNull() { return }
    try reader.openObject()
    var metadata: [String: String] = [:]
    while let key = try reader.nextName() {
      let text = key.string
      metadata[text] = try reader.readText().string
    }
    self.metadata = metadata
  }

  // MARK: One tensor

  private struct Fields {
    var dtype: DType?
    var shape: (lengths: [Int], count: UInt64?)?
    var offsets: (start: UInt64, end: UInt64)?
  }

  /// Either an object of `dtype`, `shape`, `data_offsets` and anything else, or, as the reference has it, an array of
  /// the three.
  private static func readEntry(_ reader: inout JSONReader, name: String) throws -> Entry {
    var fields = Fields()
    if reader.peek() == UInt8(ascii: "[") {
      try reader.openArray()
      let message = "the array that describes the tensor should hold dtype, shape and data_offsets"
      guard try reader.nextElement() else { throw reader.failure(message) }
      fields.dtype = try readDType(&reader)
      guard try reader.nextElement() else { throw reader.failure(message) }
      fields.shape = try readShape(&reader)
      guard try reader.nextElement() else { throw reader.failure(message) }
      fields.offsets = try readOffsets(&reader)
      guard try !reader.nextElement() else { throw reader.failure(message) }
    } else {
      try reader.openObject()
      while let key = try reader.nextName() {
        if key == "dtype" {
          guard fields.dtype == nil else { throw reader.failure("`dtype` occurs twice", at: key.offset) }
          fields.dtype = try readDType(&reader)
        } else if key == "shape" {
          guard fields.shape == nil else { throw reader.failure("`shape` occurs twice", at: key.offset) }
          fields.shape = try readShape(&reader)
        } else if key == "data_offsets" {
          guard fields.offsets == nil else { throw reader.failure("`data_offsets` occurs twice", at: key.offset) }
          fields.offsets = try readOffsets(&reader)
        } else {
          try reader.skipValue()
        }
      }
    }
    guard let dtype = fields.dtype else { throw reader.failure("has no `dtype`") }
    guard let shape = fields.shape else { throw reader.failure("has no `shape`") }
    guard let offsets = fields.offsets else { throw reader.failure("has no `data_offsets`") }
    return Entry(
      name: name, dtype: dtype, shape: shape.lengths, count: shape.count, start: offsets.start, end: offsets.end)
  }

  /// `"F32"`, or `{"F32": null}`, which the reference accepts as well.
  private static func readDType(_ reader: inout JSONReader) throws -> DType {
    let code: JSONReader.Text
    if reader.peek() == UInt8(ascii: "{") {
      try reader.openObject()
      guard let key = try reader.nextName() else { throw reader.failure("`dtype` is an empty object") }
      code = key
      guard try reader.readNull(), try reader.nextName() == nil else {
        throw reader.failure("`dtype` is neither a string nor an object of one name and null")
      }
    } else {
      code = try reader.readText("a dtype")
    }
    guard let dtype = DType(safeTensorsCode: code.string) else {
      throw reader.failure("`\(code.string.printable(limit: 40))` is no dtype of safetensors", at: code.offset)
    }
    return dtype
  }

  private static func readShape(_ reader: inout JSONReader) throws -> ([Int], UInt64?) {
    var lengths: [Int] = []
    var product: UInt64? = 1
    try reader.openArray()
    while try reader.nextElement() {
      let length = try readNatural(&reader)
      guard let shown = Int(exactly: length) else {
        throw reader.failure("an axis of length \(length) is longer than supported")
      }
      lengths.append(shown)
      if let factor = product {
        let (next, overflow) = factor.multipliedReportingOverflow(by: length)
        product = overflow ? nil : next
      }
    }
    return (lengths, product)
  }

  private static func readOffsets(_ reader: inout JSONReader) throws -> (UInt64, UInt64) {
    let reason = "`data_offsets` are not two numbers"
    try reader.openArray()
    guard try reader.nextElement() else { throw reader.failure(reason) }
    let start = try readNatural(&reader)
    guard try reader.nextElement() else { throw reader.failure(reason) }
    let end = try readNatural(&reader)
    guard try !reader.nextElement() else { throw reader.failure(reason) }
    return (start, end)
  }

  private static func readNatural(_ reader: inout JSONReader) throws -> UInt64 {
    _ = reader.peek()
    let offset = reader.offset
    guard let value = try reader.readNumber() else {
      throw reader.failure("a length or offset is not an integer from 0 to 2^64 - 1", at: offset)
    }
    return value
  }
}

/// What to say of a name that stands twice in a dictionary of Swift strings, whose equality is that of canonical forms.
func repeated(_ first: String, _ second: String) -> String {
  let name = first.printable(limit: 100)
  return first.utf8.elementsEqual(second.utf8)
    ? "`\(name)` occurs twice" : "`\(name)` occurs in two Unicode forms, which are one name here"
}
