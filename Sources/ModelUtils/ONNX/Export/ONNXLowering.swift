import ModelCheckpoints
import ModelCore
import ModelGraph

/// A value of the model that is written: its name, and what it is for every probe.
struct ONNXValue {
  let name: String
  let dtype: DType
  /// One shape for each probe.
  let shapes: [[Int]]

  /// The shape for the inputs that the model is exported for.
  var shape: [Int] { shapes[0] }
  var rank: Int { shapes[0].count }

  /// The lengths of an axis, one for each probe.
  func lengths(_ axis: Int) -> [Int] { shapes.map { $0[axis] } }
}

/// Writes the nodes of a graph as ONNX's, operation by operation.
struct ONNXLowering {
  let probes: GraphProbes
  let options: ONNXExportOptions
  var graph: Graph { probes.graph }
  var opset: Int { options.opset }

  private var nodes: [ONNXNode] = []
  private var initializers: [(tensor: ONNXTensor, value: ONNXValue)] = []
  private var made: [ONNXValue] = []
  private var values: [Graph.Value: ONNXValue] = [:]
  /// What does not depend on the inputs' elements, one array for each probe, up to its last use.
  private var known: [Graph.Value: [ReferenceArray]] = [:]
  /// For each value of the graph how many needed nodes and outputs still take it.
  private var uses: [Int] = []
  private var takenNames: [String: Int] = [:]
  private var smallConstants: [SmallConstant: ONNXValue] = [:]
  /// The dotted path of the module whose operation is written.
  private(set) var path = ""
  /// What was padded with zeros, by the name of the result.
  var padded: [String: (source: ONNXValue, margins: [Margin])] = [:]
  /// Parts of shapes that nodes give already.
  var dimensions: [String: ONNXValue] = [:]

  private struct SmallConstant: Hashable {
    let dtype: DType
    let shape: [Int]
    let bytes: [UInt8]
  }

  /// The most elements that are computed beforehand.
  private static let knownLimit = 1 << 22

  init(_ probes: GraphProbes, _ options: ONNXExportOptions) throws {
    (self.probes, self.options) = (probes, options)
    for (index, input) in graph.inputs.enumerated() {
      let name = graph.inputs.count == 1 ? options.inputName : "\(options.inputName)\(index)"
      takenNames[name] = 1
      values[input] = value(input, named: name)
    }
    for index in graph.outputs.indices { takenNames["\(options.outputName)\(index)"] = 1 }
  }

  // MARK: Values

  private func value(_ value: Graph.Value, named name: String) -> ONNXValue {
    ONNXValue(name: name, dtype: probes.types[0][value].dtype, shapes: shapes(of: value))
  }

  /// The shapes of a value of the graph, one for each probe.
  func shapes(of value: Graph.Value) -> [[Int]] { probes.types.map { $0[value].shape } }

  /// The elements of a value that is the same for all inputs.
  func constantElements(of value: Graph.Value) -> [Double]? {
    if let arrays = known[value], arrays.dropFirst().allSatisfy({ $0.isSame(as: arrays[0]) }) {
      return arrays[0].values
    }
    if case .constant(let tensor) = graph.definitions[value.index], tensor.count <= Self.knownLimit {
      return try? tensor.doubles()
    }
    return nil
  }

  /// What stands for a value of the graph in the model.
  mutating func operand(_ value: Graph.Value) throws -> ONNXValue {
    if let written = values[value] { return written }
    let written: ONNXValue
    switch graph.definitions[value.index] {
    case .weight(let path):
      guard let tensor = graph.weights[path]?.tensor else { throw ModelError(.missing, "is missing", subject: path) }
      written = try initializer(tensor, named: uniqueName(path))
    case .constant(let tensor): written = try constant(tensor)
    case .input, .result:
      guard let array = known[value]?.first else { throw ModelError(.mismatch, "is taken before it is made") }
      written = try constant(array.tensor())
    }
    values[value] = written
    return written
  }

  // MARK: Writing

  /// Appends a node of one result.
  mutating func node(
    _ operation: String, _ inputs: [ONNXValue?], _ attributes: [ONNXAttribute] = [], _ dtype: DType, _ shapes: [[Int]]
  ) -> ONNXValue {
    node(operation, inputs, attributes, [(dtype, shapes)])[0]
  }

  /// Appends a node whose result has the type and shapes of a value.
  mutating func node(
    _ operation: String, _ inputs: [ONNXValue?], _ attributes: [ONNXAttribute] = [], like other: ONNXValue
  ) -> ONNXValue {
    node(operation, inputs, attributes, other.dtype, other.shapes)
  }

  /// Appends a node of two operands that are broadcast.
  mutating func node(_ operation: String, _ first: ONNXValue, _ second: ONNXValue, _ dtype: DType? = nil) -> ONNXValue {
    node(operation, [first, second], [], dtype ?? first.dtype, zip(first.shapes, second.shapes).map(broadcastShape))
  }

  /// Appends a node of several results.
  mutating func node(
    _ operation: String, _ inputs: [ONNXValue?], _ attributes: [ONNXAttribute], _ results: [(DType, [[Int]])]
  ) -> [ONNXValue] {
    let name = uniqueName("\(Self.prefix(path))/\(operation)")
    let outputs = results.enumerated().map { index, type in
      ONNXValue(name: "\(name)_output_\(index)", dtype: type.0, shapes: type.1)
    }
    // Optional inputs at the end are left out altogether.
    let count = (inputs.lastIndex { $0 != nil } ?? -1) + 1
    nodes.append(
      ONNXNode(
        operation, inputs.prefix(count).map { $0?.name ?? "" }, outputs.map(\.name), name: name, attributes: attributes)
    )
    made += outputs
    return outputs
  }

  /// `/model.0/conv` for `model.0.conv`.
  private static func prefix(_ path: String) -> String {
    path.split(separator: ".").reduce("") { prefix, part in
      part.allSatisfy(\.isNumber) && !prefix.isEmpty ? "\(prefix).\(part)" : "\(prefix)/\(part)"
    }
  }

  private mutating func uniqueName(_ name: String) -> String {
    let count = takenNames[name, default: 0]
    takenNames[name] = count + 1
    return count == 0 ? name : uniqueName("\(name)_\(count)")
  }

  // MARK: Constants

  private mutating func initializer(_ tensor: Tensor, named name: String) throws -> ONNXValue {
    let value = ONNXValue(
      name: name, dtype: tensor.dtype, shapes: probes.types.map { _ in tensor.shape })
    initializers.append((try ONNXTensor(name, tensor), value))
    return value
  }

  /// A constant under the module's path; equal small ones are one.
  mutating func constant(_ tensor: Tensor) throws -> ONNXValue {
    var key: SmallConstant?
    if tensor.count <= 64 {
      let bytes = try tensor.withContiguousBytes { Array($0) }
      key = SmallConstant(dtype: tensor.dtype, shape: tensor.shape, bytes: bytes)
      if let key, let value = smallConstants[key] { return value }
    }
    let name = uniqueName(path.isEmpty ? "constant" : "\(path).constant")
    let value = try initializer(tensor, named: name)
    if let key { smallConstants[key] = value }
    return value
  }

  /// Whole numbers, such as axes.
  mutating func integers(_ values: [Int]) throws -> ONNXValue {
    try constant(Tensor(integers: values.map(Double.init), .int64, [values.count]))
  }

  /// A number of a value's type.
  mutating func scalar(_ number: Double, like other: ONNXValue, shape: [Int] = []) throws -> ONNXValue {
    try constant(ReferenceArray(TensorType(other.dtype, shape), [number]).tensor())
  }

  /// Numbers of a type, all the same.
  mutating func filled(_ number: Double, _ dtype: DType, _ shape: [Int]) throws -> ONNXValue {
    let values = [Double](repeating: number, count: shape.reduce(1, *))
    return try constant(ReferenceArray(TensorType(dtype, shape), values).tensor())
  }

  // MARK: The whole

  /// Writes all that the outputs need.
  mutating func lowerAll() throws {
    uses = graph.definitions.map { _ in 0 }
    for output in graph.outputs { uses[output.index] += 1 }
    for node in graph.nodes.reversed() where isNeeded(node) {
      for operand in node.operands { uses[operand.index] += 1 }
    }
    for node in graph.nodes where isNeeded(node) {
      path = graph.scopes[node.scope].path
      do {
        if try !compute(node) {
          for (value, written) in zip(node.results, try lower(node)) { values[value] = written }
        }
      } catch let error as ModelError {
        throw error.about(path)
      }
      for operand in node.operands {
        uses[operand.index] -= 1
        if uses[operand.index] == 0 { known[operand] = nil }
      }
    }
    path = ""
  }

  /// In a walk from the last node to the first, and afterwards.
  private func isNeeded(_ node: Graph.Node) -> Bool { node.results.contains { uses[$0.index] > 0 } }

  /// Computes a node beforehand, where nothing that it takes depends on the inputs' elements.
  /// - Returns: whether it did, and the results are the same for all probes or may stay unwritten.
  private mutating func compute(_ node: Graph.Node) throws -> Bool {
    if case .other = node.operation { return false }
    if case .dropout = node.operation { return false }
    let firstShape = node.operation.firstShapeOperand
    guard node.operands.enumerated().allSatisfy({ $0 >= firstShape || isKnown($1) }) else { return false }
    var arrays: [[ReferenceArray]] = []
    for (place, operand) in node.operands.enumerated() {
      guard let array = try array(of: operand, shapeAlone: place >= firstShape) else { return false }
      arrays.append(array)
    }
    for (index, types) in probes.types.enumerated() {
      let resultTypes = node.results.map { types[$0] }
      guard resultTypes.allSatisfy({ $0.shape.reduce(1, *) <= Self.knownLimit }) else { return false }
      let results = try Reference.compute(node.operation, arrays.map { $0[index] }, resultTypes)
      for (value, result) in zip(node.results, results) { known[value, default: []].append(result) }
    }
    return try settle(node)
  }

  /// Whether results that were computed are constants; those that depend on dynamic axes are written as nodes.
  private mutating func settle(_ node: Graph.Node) throws -> Bool {
    if probes.types.count == 1 { return true }
    if node.results.allSatisfy({ constantElements(of: $0) != nil }) { return true }
    let results = try lower(node)
    for (value, written) in zip(node.results, results) { values[value] = written }
    return true
  }

  private func isKnown(_ value: Graph.Value) -> Bool {
    switch graph.definitions[value.index] {
    case .constant, .weight: true
    case .input, .result: known[value] != nil
    }
  }

  /// The elements of an operand for every probe; nil where they depend on the inputs' elements or are too many.
  private mutating func array(of value: Graph.Value, shapeAlone: Bool) throws -> [ReferenceArray]? {
    if let arrays = known[value] { return arrays }
    switch graph.definitions[value.index] {
    case .constant(let tensor):
      guard tensor.count <= Self.knownLimit else { return nil }
      known[value] = [ReferenceArray](repeating: try ReferenceArray(tensor), count: probes.types.count)
      return known[value]
    case .weight(let path):
      guard let tensor = graph.weights[path]?.tensor, tensor.count <= Self.knownLimit else { return nil }
      return [ReferenceArray](repeating: try ReferenceArray(tensor), count: probes.types.count)
    case .input, .result:
      return shapeAlone ? probes.types.map { ReferenceArray($0[value], []) } : nil
    }
  }

  /// The graph, with inputs and outputs under their names, and nothing in it that they do not need.
  mutating func finished() throws -> ONNXGraph {
    var renamed: [String: String] = [:]
    var outputs: [ONNXValue] = []
    let results = Set(nodes.flatMap(\.outputs))
    for (index, output) in graph.outputs.enumerated() {
      var value = try operand(output)
      let name = "\(options.outputName)\(index)"
      if !results.contains(value.name) || renamed[value.name] != nil {
        value = node("Identity", [value], like: value)
      }
      renamed[value.name] = name
      outputs.append(ONNXValue(name: name, dtype: value.dtype, shapes: value.shapes))
    }
    var needed = Set(renamed.keys)
    var kept: [ONNXNode] = []
    for node in nodes.reversed() where node.outputs.contains(where: needed.contains) {
      needed.formUnion(node.inputs)
      kept.append(node)
    }
    for index in kept.indices {
      kept[index].inputs = kept[index].inputs.map { renamed[$0] ?? $0 }
      kept[index].outputs = kept[index].outputs.map { renamed[$0] ?? $0 }
    }
    let written = Set(kept.flatMap(\.outputs))
    let tensors = initializers.filter { needed.contains($0.value.name) }
    return ONNXGraph(
      name: "main_graph", nodes: kept.reversed(), initializers: tensors.map(\.tensor),
      inputs: try graph.inputs.map { try info(operand($0)) }, outputs: try outputs.map(info),
      valueInfo: try made.filter { written.contains($0.name) && renamed[$0.name] == nil }.map(info))
  }

  private func info(_ value: ONNXValue) throws -> ONNXValueInfo {
    guard let type = ONNXElementType(value.dtype) else {
      throw ModelError(.unsupported, "ONNX has no \(value.dtype.rawValue)", subject: value.name)
    }
    return ONNXValueInfo(value.name, type, shape: (0..<value.rank).map { dimension(value.lengths($0)) })
  }
}

extension ReferenceArray {
  fileprivate func isSame(as other: ReferenceArray) -> Bool { type == other.type && values == other.values }
}

extension Operation {
  /// The first operand of which, as of those behind it, only the shape counts.
  fileprivate var firstShapeOperand: Int {
    switch self {
    case .shape, .coordinates: 0
    case .reshape(let extents), .expand(let extents), .split(_, .extents(let extents)):
      extents.contains { if case .element = $0 { true } else { false } } ? Int.max : 1
    case .resize: 1
    default: Int.max
    }
  }
}

/// The shape of two that are broadcast; they are known to fit.
func broadcastShape(_ first: [Int], _ second: [Int]) -> [Int] {
  let rank = max(first.count, second.count)
  let (a, b) = (
    [Int](repeating: 1, count: rank - first.count) + first, [Int](repeating: 1, count: rank - second.count) + second
  )
  return zip(a, b).map { $0 == 1 ? $1 : $0 }
}
