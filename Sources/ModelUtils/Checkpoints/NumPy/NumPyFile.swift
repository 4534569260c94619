import ModelCore
import SystemPackage

/// NumPy's files of one array, `.npy`.
public enum NumPyFile {
  private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  private static let alignment = 64
  /// Longer than the header of any array of 64 axes.
  private static let headerLimit = 1 << 16

  /// NumPy's codes of the element types that tensors have, too.
  static let elementTypes: [String: DType] = [
    "f8": .float64, "f4": .float32, "f2": .float16, "i8": .int64, "i4": .int32, "i2": .int16, "i1": .int8,
    "u8": .uint64, "u4": .uint32, "u2": .uint16, "u1": .uint8, "b1": .bool, "c16": .complex128, "c8": .complex64,
  ]

  /// Reads an array; its elements stay in the mapped file where their byte order is this machine's.
  /// - Throws: `ModelError` for a file that is malformed, or holds objects, text or records.
  public static func read(_ location: some FileLocation) throws -> Tensor {
    let file = try FileBytes(mapping: location)
    do { return try tensor(file) } catch let error as ModelError { throw error.inFile(file.name) }
  }

  /// Writes a tensor, in rows and little-endian, as `numpy.save` does.
  /// - Throws: `ModelError` for an element type that NumPy does not have, and when the file cannot be written.
  public static func write(_ tensor: Tensor, to location: some FileLocation) throws {
    let path = try location.filePath
    guard let code = elementTypes.first(where: { $0.value == tensor.dtype })?.key else {
      throw ModelError(
        .unsupported, "NumPy has no \(tensor.dtype.rawValue)", file: path.string, advice: "write .safetensors")
    }
    let order = code.hasSuffix("1") ? "|" : "<"
    let shape = tensor.shape.map(String.init).joined(separator: ", ") + (tensor.shape.count == 1 ? "," : "")
    let text = "{'descr': '\(order)\(code)', 'fortran_order': False, 'shape': (\(shape)), }"
    let start = magic.count + 4
    let length = (start + text.utf8.count + 1 + alignment - 1) / alignment * alignment - start
    guard let written = UInt16(exactly: length) else {
      throw ModelError(.limit, "has \(tensor.shape.count) axes, more than a .npy file can tell", file: path.string)
    }
    var header = magic + [1, 0, UInt8(written & 0xff), UInt8(written >> 8)] + Array(text.utf8)
    header += [UInt8](repeating: UInt8(ascii: " "), count: start + length - header.count - 1) + [UInt8(ascii: "\n")]
    do {
      let file = try AtomicFile(replacing: path, expectedSize: header.count + tensor.byteCount)
      try header.withUnsafeBytes { try file.write($0) }
      try tensor.withContiguousBytes { try file.write($0) }
      try file.commit()
    } catch let error as ModelError { throw error.inFile(path.string) }
  }

  static func tensor(_ file: FileBytes) throws -> Tensor {
    guard let start = file.slice(0, 8), start.starts(with: magic) else {
      throw ModelError(.malformed, "is no .npy file")
    }
    // Version 1 has two bytes of length, 2 and 3 four.
    let width = start[6] == 1 ? 2 : 4
    guard (1...3).contains(start[6]), let size = file.slice(8, width) else {
      throw ModelError(.unsupported, "is a .npy file of version \(start[6]).\(start[7])")
    }
    let length = size.reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= headerLimit, let text = file.slice(8 + width, length) else {
      throw ModelError(.malformed, "has a header of \(length) bytes, which it does not hold", offset: 8)
    }
    let header = try NumPyHeader(String(decoding: text, as: UTF8.self))
    guard let dtype = header.dtype else {
      throw ModelError(
        .unsupported, "holds elements of NumPy's type \(header.code.printable())",
        advice: "numbers and bool can be read; objects are code, and are not")
    }
    let offset = 8 + width + length
    guard let count = Tensor.elementCount(header.shape), let bytes = dtype.byteCount(of: count),
      let contents = file.slice(offset, bytes)
    else { throw ModelError(.malformed, "is shorter than its shape \(header.shape) says", offset: offset) }
    let unit = dtype.byteOrderWidth
    let storage =
      header.isBigEndian && unit > 1
      ? try Storage(byteCount: bytes) { swapBytes($0, contents, width: unit) }
      : Storage(file, offset: offset, byteCount: bytes)
    guard let storage else { throw ModelError(.malformed, "is shorter than its shape says", offset: offset) }
    let strides = header.isInColumns ? Array(Tensor.contiguousStrides(header.shape.reversed()).reversed()) : nil
    return try Tensor(storage, dtype: dtype, shape: header.shape, strides: strides)
  }
}

/// What a `.npy` file says of its array: a Python dictionary of three keys.
private struct NumPyHeader {
  /// The element type as it is written, without the byte order.
  let code: String
  let isBigEndian: Bool
  let isInColumns: Bool
  let shape: [Int]

  var dtype: DType? { NumPyFile.elementTypes[code] }

  init(_ text: String) throws {
    var rest = text[...]
    var (description, order, shape): (String?, Bool?, [Int]?)
    func expect(_ word: String) throws {
      rest = rest.drop { $0.isWhitespace }
      guard rest.hasPrefix(word) else { throw Self.malformed }
      rest = rest.dropFirst(word.count)
    }
    func accept(_ word: String) -> Bool { (try? expect(word)) != nil }
    func quoted() throws -> String {
      let mark = accept("'") ? "'" : "\""
      if mark == "\"" { try expect(mark) }
      let value = rest.prefix { String($0) != mark }
      rest = rest.dropFirst(value.count)
      try expect(mark)
      return String(value)
    }
    func lengths() throws -> [Int] {
      var lengths: [Int] = []
      try expect("(")
      while !accept(")") {
        rest = rest.drop { $0.isWhitespace }
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let length = Int(digits) else { throw Self.malformed }
        rest = rest.dropFirst(digits.count)
        // Python 2 wrote its long numbers so.
        _ = accept("L")
        lengths.append(length)
        if accept(")") { break }
        try expect(",")
      }
      return lengths
    }
    try expect("{")
    while !accept("}") {
      let key = try quoted()
      try expect(":")
      switch key {
      case "descr":
        rest = rest.drop { $0.isWhitespace }
        guard !rest.hasPrefix("[") else { throw ModelError(.unsupported, "holds records, not numbers") }
        description = try quoted()
      case "fortran_order":
        order = accept("True")
        if order == false { try expect("False") }
      case "shape": shape = try lengths()
      default: throw Self.malformed
      }
      if !accept(",") {
        try expect("}")
        break
      }
    }
    guard let description, let order, let shape else { throw Self.malformed }
    isBigEndian = description.hasPrefix(">")
    code = String(description.drop { "<>|=".contains($0) })
    (isInColumns, self.shape) = (order, shape)
  }

  private static let malformed = ModelError(
    .malformed, "has a header that is not NumPy's: {'descr': …, 'fortran_order': …, 'shape': …}", offset: 8)
}
