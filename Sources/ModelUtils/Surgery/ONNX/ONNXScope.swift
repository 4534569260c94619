import ModelCheckpoints
import ModelCore

/// What the nodes of one graph can see: its values, and those of the graphs that it stands in.
struct ONNXScope {
  /// Which edition of ONNX's operators the nodes mean.
  let opset: Int
  /// Values that nobody can set and that are the same in every run.
  private var constants: [String: ONNXTensor] = [:]
  /// The nodes that make values, for constants that are handed on.
  private var producers: [String: ONNXNode] = [:]
  /// The constants that a caller may set all the same.
  private(set) var overridable: Set<String> = []

  init(_ graph: ONNXGraph, of model: ONNXModel) {
    opset = model.opset
    add(graph, irVersion: model.irVersion)
  }

  /// The scope of a graph inside a node.
  func inner(_ graph: ONNXGraph) -> ONNXScope {
    var inner = self
    inner.add(graph, irVersion: nil)
    return inner
  }

  /// Up to version 3 of the format every initializer had to be an input, which did not make it one.
  private mutating func add(_ graph: ONNXGraph, irVersion: Int?) {
    let inputs = Set(graph.inputs.map(\.name))
    for name in inputs { hide(name) }
    for tensor in graph.initializers {
      hide(tensor.name)
      if let irVersion, irVersion >= 4, inputs.contains(tensor.name) {
        overridable.insert(tensor.name)
      } else {
        constants[tensor.name] = tensor
      }
    }
    for node in graph.nodes {
      for output in node.outputs where !output.isEmpty {
        hide(output)
        producers[output] = node
      }
      if let tensor = node.constant, let output = node.outputs.first { constants[output] = tensor }
    }
  }

  private mutating func hide(_ name: String) {
    constants[name] = nil
    producers[name] = nil
    overridable.remove(name)
  }

  func producer(of name: String) -> ONNXNode? { producers[name] }

  /// The tensor that a name stands for in every run, looked up through nodes that only change its form.
  /// - Returns: nil for what is computed, set by callers, or of a type that cannot be looked into.
  /// - Throws: `ModelError` for a constant whose elements cannot be had.
  func constant(_ name: String, depth: Int = 0) throws -> Tensor? {
    if let tensor = constants[name] { return tensor.elementType.dtype == nil ? nil : try tensor.tensor() }
    guard depth < 16, let node = producers[name], node.isStandard, node.outputs.first == name,
      let first = node.inputs.first, let tensor = try constant(first, depth: depth + 1)
    else { return nil }
    func numbers(_ input: Int, _ attribute: String) throws -> [Int]? {
      if let set = node.attribute(attribute)?.ints { return set }
      guard input < node.inputs.count, !node.inputs[input].isEmpty,
        let tensor = try constant(node.inputs[input], depth: depth + 1), tensor.dtype.isInteger
      else { return nil }
      return try tensor.integers()
    }
    switch node.operation {
    case "Identity": return tensor
    case "Reshape":
      guard let shape = try numbers(1, "shape") else { return nil }
      let keepsZero = node.attribute("allowzero")?.int == 1
      let lengths = shape.enumerated().map { axis, length in
        length == 0 && !keepsZero && axis < tensor.shape.count ? tensor.shape[axis] : length
      }
      return try? tensor.reshaped(lengths)
    case "Cast":
      guard let dtype = node.attribute("to")?.int.flatMap({ ONNXElementType(number: $0).dtype }),
        dtype.kernelFormat != nil, tensor.dtype.kernelFormat != nil
      else { return nil }
      return try tensor.converted(to: dtype)
    case "Transpose":
      let axes = node.attribute("perm")?.ints ?? Array(tensor.shape.indices.reversed())
      return try? tensor.permuted(axes)
    case "Squeeze":
      guard let axes = try numbers(1, "axes") else {
        return node.inputs.count > 1 ? nil : try? tensor.reshaped(tensor.shape.filter { $0 != 1 })
      }
      let places = Set(axes.map { $0 < 0 ? $0 + tensor.shape.count : $0 })
      guard places.allSatisfy({ tensor.shape.indices.contains($0) && tensor.shape[$0] == 1 }) else { return nil }
      return try? tensor.reshaped(tensor.shape.indices.filter { !places.contains($0) }.map { tensor.shape[$0] })
    case "Unsqueeze":
      guard let axes = try numbers(1, "axes") else { return nil }
      let rank = tensor.shape.count + axes.count
      let places = Set(axes.map { $0 < 0 ? $0 + rank : $0 })
      guard places.count == axes.count, places.allSatisfy({ (0..<rank).contains($0) }) else { return nil }
      var rest = tensor.shape[...]
      return try? tensor.reshaped((0..<rank).map { places.contains($0) ? 1 : rest.removeFirst() })
    default: return nil
    }
  }
}
