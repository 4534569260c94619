import ModelCore

/// A constant of a model: a weight by its name, or what an attribute holds. Its elements stay in the file until they are
/// asked for.
public struct ONNXTensor: Sendable {
  /// Where the elements are.
  enum Location: Sendable {
    /// In the model, in one of the fields for it.
    case inside
    /// In another file.
    case outside(ONNXExternalData)
    /// A tensor of this program's.
    case new(Tensor)
  }

  /// What nodes call it by; may be empty in an attribute.
  public var name: String { didSet { message.set(8, name) } }
  /// The length of each axis; empty for a scalar.
  public let shape: [Int]
  /// The type of the elements.
  public let elementType: ONNXElementType
  /// How many elements it has.
  public let count: Int

  private(set) var location: Location
  private var message: ProtobufMessage
  private let folder: ExternalFolder?

  var encoded: ProtobufMessage { message }

  /// A constant that is built.
  /// - Throws: `ModelError` for a type that ONNX does not have.
  public init(_ name: String, _ tensor: Tensor) throws {
    guard let type = ONNXElementType(tensor.dtype) else {
      throw ModelError(.unsupported, "ONNX has no \(tensor.dtype.rawValue)", subject: name)
    }
    message = ProtobufMessage()
    (self.name, shape, elementType, count) = (name, tensor.shape, type, tensor.count)
    (location, folder) = (.new(tensor), nil)
    message.set(1, packed: shape)
    message.set(2, type.number)
    message.set(8, name)
    message.set(9, [.tensor(tensor)])
  }

  init(message: ProtobufMessage, folder: ExternalFolder?) throws {
    (self.message, self.folder) = (message, folder)
    name = try message.text(8) ?? ""
    shape = try message.integers(1)
    elementType = ONNXElementType(number: try message.integer(2) ?? 0)
    guard let count = Tensor.elementCount(shape) else {
      throw ModelError(.malformed, "has the shape \(shape.prefix(8)), which is negative or overflows", subject: name)
    }
    self.count = count
    location = .inside
    if try message.integer(14) == 1 {
      location = .outside(try ONNXExternalData(ONNXModel.entries(message.messages(13))))
    }
  }

  /// The same constant with other elements, which may have another type and shape.
  /// - Throws: `ModelError` for a type that ONNX does not have.
  public func replaced(by tensor: Tensor) throws -> ONNXTensor {
    var new = try ONNXTensor(name, tensor)
    var message = message
    for number in [4, 5, 6, 7, 10, 11, 13, 14] { message.set(number, []) }
    // What stays is written as it stood.
    for number in [1, 2, 9] where number == 9 || (number == 1 ? shape != new.shape : elementType != new.elementType) {
      message.set(number, new.message.fields.filter { $0.number == number }.map(\.value))
    }
    new.message = message
    return new
  }

  /// The same constant with its elements in another file.
  func moved(to data: ONNXExternalData) -> ONNXTensor {
    var moved = self
    for number in [4, 5, 6, 7, 9, 10, 11] { moved.message.set(number, []) }
    moved.message.set(13, messages: ONNXModel.entries(data.entries))
    moved.message.set(14, 1)
    moved.location = .outside(data)
    return moved
  }

  /// The SHA-1 that is given of data in another file.
  public var checksum: String? { if case .outside(let data) = location { data.checksum } else { nil } }

  /// Whether the elements are in another file.
  public var isExternal: Bool { if case .outside = location { true } else { false } }

  /// Whether `tensor()` gives them, as far as the type says.
  var hasElements: Bool { elementType.dtype != nil }

  /// The bytes that the elements take; nil for texts and what is not known.
  public var byteCount: Int? {
    elementType.bitWidth.flatMap { width in
      let (bits, overflow) = count.multipliedReportingOverflow(by: width)
      return overflow ? nil : bits / 8 + (bits % 8 == 0 ? 0 : 1)
    }
  }

  /// The texts of a tensor of texts.
  /// - Throws: `ModelError` where there are more or fewer than the shape has.
  public func strings() throws -> [[UInt8]] {
    let strings = try message.allBytes(6)
    guard elementType == .string, strings.count == count else {
      throw ModelError(.malformed, "has \(strings.count) texts for the shape \(shape)", subject: name)
    }
    return strings
  }

  /// The elements: where they stand, or decoded where they stand as packed numbers.
  /// - Throws: `ModelError` for texts and types of less than a byte, elements that are more or fewer than the shape has,
  ///   and another file that is not there or not to be trusted.
  public func tensor() throws -> Tensor {
    do { return try elements() } catch let error as ModelError { throw error.about(name) }
  }

  private func elements() throws -> Tensor {
    if case .new(let tensor) = location { return tensor }
    guard let dtype = elementType.dtype else {
      throw ModelError(.unsupported, "has elements of \(elementType), which are not looked into")
    }
    guard let byteCount = dtype.byteCount(of: count) else {
      throw ModelError(.malformed, "has the shape \(shape), which does not fill whole bytes")
    }
    if message.has(3) { throw ModelError(.unsupported, "is one of several segments, which no exporter writes") }
    if case .outside(let data) = location {
      guard let folder else {
        throw ModelError(.missing, "lies in another file, which a model in memory cannot find")
      }
      return try Tensor(try folder.storage(of: data, byteCount: byteCount), dtype: dtype, shape: shape)
    }
    let raw = try message.stretches(9)
    let typed = [4, 5, 6, 7, 10, 11].filter { message.has($0) }
    if let stretch = raw.last, stretch.count > 0 || typed.isEmpty {
      guard typed.isEmpty else { throw ModelError(.malformed, "has its elements twice, as bytes and as numbers") }
      guard stretch.count == byteCount,
        let storage = Storage(stretch.file, offset: stretch.offset, byteCount: byteCount)
      else {
        throw ModelError(.malformed, "has \(stretch.count) bytes where \(dtype.rawValue) \(shape) takes \(byteCount)")
      }
      return try Tensor(storage, dtype: dtype, shape: shape)
    }
    return try typedElements(dtype, byteCount)
  }

  /// The elements of the field that the type has for numbers.
  private func typedElements(_ dtype: DType, _ byteCount: Int) throws -> Tensor {
    let number: Int
    switch dtype {
    case .float32, .complex64: number = 4
    case .float64, .complex128: number = 10
    case .int64: number = 7
    case .uint64, .uint32: number = 11
    default: number = 5
    }
    // What stands there as bytes already.
    if number == 4 || number == 10, case let stretches = try? message.stretches(number), let stretches,
      stretches.count == 1, stretches[0].count == byteCount,
      let storage = Storage(stretches[0].file, offset: stretches[0].offset, byteCount: byteCount)
    {
      return try Tensor(storage, dtype: dtype, shape: shape)
    }
    let width = dtype.byteOrderWidth
    let expected = byteCount / width
    var bytes: [UInt8] = []
    func check(_ found: Int) throws {
      guard found == expected else {
        throw ModelError(.malformed, "has \(found) numbers where \(dtype.rawValue) \(shape) takes \(expected)")
      }
    }
    if number == 4 {
      let values = try message.floats(4)
      try check(values.count)
      bytes = values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
    } else if number == 10 {
      let values = try message.doubles(10)
      try check(values.count)
      bytes = values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) }
    } else {
      let values = try message.integers(number)
      try check(values.count)
      bytes.reserveCapacity(byteCount)
      for value in values { withUnsafeBytes(of: value.littleEndian) { bytes += $0.prefix(width) } }
    }
    return try Tensor(dtype, shape) { $0.copyBytes(from: bytes) }
  }
}

/// A constant of which only some elements are there; the others are zero.
public struct ONNXSparseTensor: Sendable {
  /// The elements; its name is the constant's.
  public let values: ONNXTensor
  /// Where they stand.
  public let indices: ONNXTensor
  /// The length of each axis.
  public let shape: [Int]

  init(message: ProtobufMessage, folder: ExternalFolder?) throws {
    guard let values = try message.message(1), let indices = try message.message(2) else {
      throw ModelError(.malformed, "holds a sparse tensor without values or places")
    }
    self.values = try ONNXTensor(message: values, folder: folder)
    self.indices = try ONNXTensor(message: indices, folder: folder)
    shape = try message.integers(3)
    guard Tensor.elementCount(shape) != nil else {
      throw ModelError(.malformed, "has the shape \(shape.prefix(8)), which is negative or overflows")
    }
  }
}
