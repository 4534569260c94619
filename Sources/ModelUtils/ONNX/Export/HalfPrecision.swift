import ModelCheckpoints
import ModelCore
import ModelGraph

extension ONNXModel {
  /// Stores weights and computes in float16, as onnxruntime's `convert_float_to_float16` with `keep_io_types`: inputs and
  /// outputs stay float32, and so does what operators take that need it, such as `TopK` and the factors of `Resize`.
  ///
  /// Small constants that would become zero or infinite become the nearest numbers that do not. Graphs within nodes stay
  /// as they are.
  /// - Throws: `ModelError` when a weight cannot be read.
  public mutating func narrow() throws {
    var narrowing = Narrowing(graph)
    graph = try narrowing.graph()
  }
}

/// A graph on its way to float16. Each value of it has a name in either precision: its own in that in which it is
/// mostly needed, and one with the other type's name behind.
private struct Narrowing {
  private let original: ONNXGraph
  /// Inputs and outputs.
  private let outer: Set<String>
  /// The shapes of the values that are float32.
  private var shapes: [String: [ONNXValueInfo.Dimension]?] = [:]
  private var weights: Set<String> = []
  /// Weights that stay float32, for nothing takes them in float16.
  private var wideWeights: Set<String>
  private var made: Set<String> = []
  private var nodes: [ONNXNode] = []
  private var infos: [ONNXValueInfo] = []

  private static let half = ONNXElementType(number: 10)
  /// Operators that compute in float32: they have no float16, or their numbers are places.
  private static let wideOperations: Set = [
    "CumSum", "Max", "Min", "NonMaxSuppression", "Range", "RoiAlign", "TopK", "Upsample",
  ]

  private static func isWide(_ node: ONNXNode, operand: Int) -> Bool {
    wideOperations.contains(node.operation) || (node.operation == "Resize" && operand == 2)
  }

  init(_ graph: ONNXGraph) {
    original = graph
    outer = Set((graph.inputs + graph.outputs).map(\.name))
    for info in graph.inputs + graph.outputs + graph.valueInfo {
      if case .tensor(.float32, let shape) = info.kind { shapes[info.name] = shape }
    }
    for tensor in graph.initializers where tensor.elementType == .float32 {
      weights.insert(tensor.name)
      shapes[tensor.name] = tensor.shape.map { .fixed($0) }
    }
    let narrowUses = graph.nodes.flatMap { node in
      node.inputs.enumerated().filter { !Self.isWide(node, operand: $0.offset) }.map(\.element)
    }
    wideWeights = weights.subtracting(narrowUses)
    made = Set(graph.inputs.map(\.name)).union(weights)
  }

  /// What a value is called in a precision.
  private func name(_ value: String, wide: Bool) -> String {
    let isWide = outer.contains(value) || wideWeights.contains(value)
    return isWide == wide ? value : "\(value)_\(wide ? "float32" : "float16")"
  }

  /// The name of a value in a precision, in which it is made where it is not there yet.
  private mutating func needed(_ value: String, wide: Bool) -> String {
    let result = name(value, wide: wide)
    if made.insert(result).inserted {
      let type = wide ? ONNXElementType.float32 : Self.half
      nodes.append(
        ONNXNode(
          "Cast", [name(value, wide: !wide)], [result], name: "/\(result)/Cast",
          attributes: [ONNXAttribute("to", type.number)]))
      describe(result, value, type)
    }
    return result
  }

  private mutating func describe(_ name: String, _ value: String, _ type: ONNXElementType) {
    guard !outer.contains(name), let shape = shapes[value] else { return }
    infos.append(ONNXValueInfo(name, type, shape: shape))
  }

  mutating func graph() throws -> ONNXGraph {
    for node in original.nodes {
      var node = node
      node.inputs = node.inputs.enumerated().map { place, value in
        shapes[value] == nil ? value : needed(value, wide: Self.isWide(node, operand: place))
      }
      let isWide = Self.wideOperations.contains(node.operation)
      node.outputs = node.outputs.map { value in
        guard shapes[value] != nil else { return value }
        let result = name(value, wide: isWide)
        made.insert(result)
        describe(result, value, isWide ? .float32 : Self.half)
        return result
      }
      if node.operation == "Cast", node.attribute("to")?.int == 1 {
        node.attributes = [ONNXAttribute("to", Self.half.number)]
      }
      nodes.append(node)
    }
    for output in original.outputs where shapes[output.name] != nil { _ = needed(output.name, wide: true) }
    var graph = original
    graph.nodes = nodes
    graph.valueInfo = original.valueInfo.filter { shapes[$0.name] == nil } + infos
    graph.initializers = try original.initializers.map { tensor in
      guard weights.contains(tensor.name), !wideWeights.contains(tensor.name) else { return tensor }
      return try tensor.replaced(by: Self.narrowed(tensor.tensor()))
    }
    return graph
  }

  private static func narrowed(_ tensor: Tensor) throws -> Tensor {
    guard tensor.count <= 1 << 12 else { return try tensor.converted(to: .float16) }
    let (least, most) = (0x1p-24, 65504.0)
    let values = try tensor.doubles().map { value in
      if value == 0 || !value.isFinite { return value }
      let size = min(max(value.magnitude, least), most)
      return value < 0 ? -size : size
    }
    return try ReferenceArray(TensorType(.float16, tensor.shape), values).tensor()
  }
}
