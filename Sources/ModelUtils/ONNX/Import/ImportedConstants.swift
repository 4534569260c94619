import ModelCheckpoints
import ModelCore

extension ONNXTensor {
  /// Its elements; where the file that they lie in is not there, that is told when they are read.
  func lazyTensor() throws -> Tensor {
    do { return try tensor() } catch let error as ModelError {
      guard isExternal, let dtype = elementType.dtype, let bytes = dtype.byteCount(of: count) else { throw error }
      return try Tensor(Storage(deferred: bytes) { throw error }, dtype: dtype, shape: shape)
    }
  }
}

extension ONNXSparseTensor {
  /// With the zeros between its elements.
  /// - Throws: `ModelError` for places outside the shape, and more elements than are made.
  func dense() throws -> Tensor {
    let values = try values.tensor()
    let places = try indices.tensor()
    guard let count = Tensor.elementCount(shape), count <= 1 << 28, let width = values.dtype.byteWidth else {
      throw ModelError(.limit, "is a sparse tensor of \(shape)")
    }
    let isLinear = places.shape.count == 1
    guard isLinear ? places.count == values.count : places.shape == [values.count, shape.count] else {
      throw ModelError(.malformed, "has places \(places.shape) for \(values.count) elements")
    }
    let numbers = try places.integers()
    let strides = Tensor.contiguousStrides(shape)
    return try Tensor(values.dtype, shape) { bytes in
      bytes.initializeMemory(as: UInt8.self, repeating: 0)
      try values.withContiguousBytes { source in
        for index in 0..<values.count {
          var place = 0
          if isLinear {
            place = numbers[index]
          } else {
            for (axis, stride) in strides.enumerated() {
              let number = numbers[index * shape.count + axis]
              guard (0..<shape[axis]).contains(number) else { throw ModelError(.malformed, "has a place outside") }
              place += number * stride
            }
          }
          guard (0..<count).contains(place) else { throw ModelError(.malformed, "has a place outside") }
          for byte in 0..<width { bytes[place * width + byte] = source[index * width + byte] }
        }
      }
    }
  }
}

extension ONNXNode {
  /// In a function: with what the call sets in place of the names of its attributes, in branches and bodies too.
  func resolved(in call: ONNXNode, _ function: ONNXModel.Function) -> ONNXNode {
    if attributes.isEmpty { return self }
    var node = self
    node.attributes = attributes.compactMap { attribute in
      switch attribute.value {
      case .reference(let name):
        let given = call.attributes.first { $0.name == name } ?? function.defaults.first { $0.name == name }
        return given.map { ONNXAttribute(attribute.name, $0.value) }
      case .graph(var graph):
        graph.nodes = graph.nodes.map { $0.resolved(in: call, function) }
        return ONNXAttribute(attribute.name, .graph(graph))
      default: return attribute
      }
    }
    return node
  }
}
