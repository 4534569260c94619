import ModelCore

/// NumPy's arrays among the objects of a pickle.
extension PickleGraph {
  /// Whether an object is a NumPy array, well formed or not.
  func isArray(_ reference: Reference) -> Bool {
    guard let call = call(reference), case .reduce = call.kind, let function = className(call.callable) else {
      return false
    }
    return Self.isNumPy(function, "multiarray._reconstruct") || Self.isNumPy(function, "numeric._frombuffer")
  }

  private static func isNumPy(_ name: ClassName, _ path: String) -> Bool {
    ["numpy.core.", "numpy._core."].contains { "\(name)" == $0 + path }
  }

  /// The numbers of an array as a tensor; nil for an array of objects, text or records.
  /// - Throws: `ModelError` for a description that is malformed.
  func array(_ reference: Reference) throws -> Tensor? {
    guard isArray(reference), let parts = arrayParts(reference), let type = elementType(parts.type) else { return nil }
    let shape = parts.shape
    guard let bytes = contents(parts.contents), let count = Tensor.elementCount(shape),
      type.dtype.byteCount(of: count) == bytes.count
    else { throw ModelError(.malformed, "is a NumPy array whose bytes do not fill its shape") }
    let width = type.dtype.byteOrderWidth
    let storage = try Storage(byteCount: bytes.count) { destination in
      bytes.withUnsafeBytes { source in
        if type.isBigEndian, width > 1 {
          swapBytes(destination, source, width: width)
        } else {
          destination.copyMemory(from: source)
        }
      }
    }
    switch parts.order {
    case .rows: return try Tensor(storage, dtype: type.dtype, shape: shape)
    case .columns:
      let strides = Array(Tensor.contiguousStrides(shape.reversed()).reversed())
      return try Tensor(storage, dtype: type.dtype, shape: shape, strides: strides)
    case .axes(let axes):
      guard axes.sorted() == Array(shape.indices) else {
        throw ModelError(.malformed, "is a NumPy array whose order names other axes than it has")
      }
      return try Tensor(storage, dtype: type.dtype, shape: shape).permuted(axes)
    }
  }

  private struct ArrayParts {
    /// The first axis varies slowest, or the last one, or they are transposed after reading.
    enum Order {
      case rows, columns
      case axes([Int])
    }

    let contents: Reference
    let type: Reference
    let shape: [Int]
    let order: Order
  }

  /// What makes an array: the state of an empty one, or, from protocol 5 on, the arguments of `_frombuffer`.
  private func arrayParts(_ reference: Reference) -> ArrayParts? {
    guard let call = call(reference) else { return nil }
    if let state = call.states.last {
      guard let parts = tuple(state), parts.count == 5, let shape = ints(parts[1]) else { return nil }
      return ArrayParts(
        contents: parts[4], type: parts[2], shape: shape, order: bool(parts[3]) ?? false ? .columns : .rows)
    }
    guard let parts = tuple(call.arguments), 4...5 ~= parts.count, let shape = ints(parts[2]) else { return nil }
    let axes = parts.count == 5 && !isNone(parts[4]) ? ints(parts[4]) : nil
    let order: ArrayParts.Order
    switch (text(parts[3]), axes) {
    case ("C", _): order = .rows
    case ("F", _): order = .columns
    case ("K", let axes?): order = .axes(axes)
    default: return nil
    }
    return ArrayParts(contents: parts[0], type: parts[1], shape: shape, order: order)
  }

  private func elementType(_ reference: Reference) -> (dtype: DType, isBigEndian: Bool)? {
    guard let call = call(reference), let function = className(call.callable), "\(function)" == "numpy.dtype",
      let code = tuple(call.arguments)?.first.flatMap({ text($0) }), let dtype = NumPyFile.elementTypes[code]
    else { return nil }
    let order = call.states.last.flatMap { tuple($0) }.flatMap { $0.count > 1 ? text($0[1]) : nil }
    return (dtype, order == ">")
  }

  /// Bytes, also as protocol 2 writes them: text to be encoded as Latin-1.
  private func contents(_ reference: Reference) -> [UInt8]? {
    switch nodes[reference] {
    case .bytes(let bytes), .byteArray(let bytes), .python2String(let bytes): return bytes
    case .call(let index):
      guard let function = className(calls[index].callable) else { return nil }
      let arguments = tuple(calls[index].arguments) ?? []
      // Python 2's and 3's way to write no bytes at all.
      if ["builtins.bytes", "__builtin__.bytes"].contains("\(function)"), arguments.isEmpty { return [] }
      guard "\(function)" == "_codecs.encode", arguments.count == 2, let text = self.text(arguments[0]),
        self.text(arguments[1]) == "latin1"
      else { return nil }
      var bytes: [UInt8] = []
      bytes.reserveCapacity(text.unicodeScalars.count)
      for scalar in text.unicodeScalars {
        guard let byte = UInt8(exactly: scalar.value) else { return nil }
        bytes.append(byte)
      }
      return bytes
    default: return nil
    }
  }
}
