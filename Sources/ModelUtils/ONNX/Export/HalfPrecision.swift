import ModelCheckpoints
import ModelCore

extension ONNXModel {
  /// Makes weights and what is computed float16, as onnxruntime's `convert_float_to_float16` with `keep_io_types`: inputs
  /// and outputs stay float32, and so do the operators that have no float16 or lose too much in it.
  /// - Throws: `ModelError` when a weight cannot be read.
  mutating public func narrow() throws { try graph.narrow() }
}

extension ONNXGraph {
  /// Operators that stay in float32: their numbers are places, lengths or limits beyond float16's range.
  private static let wideOperations: Set = [
    "CumSum", "Max", "Min", "NonMaxSuppression", "Range", "Resize", "RoiAlign", "TopK", "Upsample",
  ]

  fileprivate mutating func narrow() throws {
    guard let narrow = ONNXElementType(.float16) else { return }
    func isWide(_ info: ONNXValueInfo) -> Bool {
      if case .tensor(.float32, _) = info.kind { true } else { false }
    }
    let wide = Set((inputs + outputs + valueInfo).filter(isWide).map(\.name))
    let weights = Set(initializers.filter { $0.elementType == .float32 }.map(\.name))
    let outer = Set((inputs + outputs).map(\.name))
    var narrowed: [ONNXNode] = []
    var infos = valueInfo
    for index in infos.indices where isWide(infos[index]) {
      if case .tensor(_, let shape) = infos[index].kind { infos[index].kind = .tensor(narrow, shape: shape) }
    }
    var casts: [String: String] = [:]
    let types = Dictionary(
      (inputs + outputs + valueInfo).map { ($0.name, $0.kind) }, uniquingKeysWith: { first, _ in first })
    /// A value in the other precision.
    func cast(_ name: String, to type: ONNXElementType, _ result: String) {
      narrowed.append(
        ONNXNode(
          "Cast", [name], [result], name: "/\(result)/Cast", attributes: [ONNXAttribute("to", type.number)]))
      if !outer.contains(result), case .tensor(_, let shape)? = types[name] ?? types[result] {
        infos.append(ONNXValueInfo(result, type, shape: shape))
      }
    }
    func half(of name: String) -> String {
      guard outer.contains(name), wide.contains(name) else { return name }
      let result = casts[name] ?? "\(name)_float16"
      if casts.updateValue(result, forKey: name) == nil, inputs.contains(where: { $0.name == name }) {
        cast(name, to: narrow, result)
      }
      return result
    }
    var keptWide: Set<String> = []
    for node in nodes {
      var node = node
      let staysWide = Self.wideOperations.contains(node.operation)
      if staysWide {
        node.inputs = node.inputs.map { name in
          if weights.contains(name) { keptWide.insert(name) }
          guard wide.contains(name), !inputs.contains(where: { $0.name == name }) else { return name }
          let result = "\(name)_float32"
          if casts.updateValue(result, forKey: "32 \(name)") == nil { cast(half(of: name), to: .float32, result) }
          return result
        }
      } else {
        node.inputs = node.inputs.map(half(of:))
        node.attributes = node.attributes.map { attribute in
          guard node.operation == "Cast", attribute.name == "to", attribute.value.int == 1 else { return attribute }
          return ONNXAttribute("to", narrow.number)
        }
      }
      var after: [(from: String, to: String)] = []
      node.outputs = node.outputs.map { name in
        guard wide.contains(name) else { return name }
        if staysWide {
          if outer.contains(name) { return name }
          let result = "\(name)_wide"
          after.append((result, name))
          return result
        }
        return half(of: name)
      }
      narrowed.append(node)
      for (from, to) in after {
        if case .tensor(_, let shape)? = types[to] { infos.append(ONNXValueInfo(from, .float32, shape: shape)) }
        narrowed.append(
          ONNXNode("Cast", [from], [to], name: "/\(to)/Cast", attributes: [ONNXAttribute("to", narrow.number)]))
      }
    }
    for output in outputs where isWide(output) && casts[output.name] != nil {
      cast("\(output.name)_float16", to: .float32, output.name)
    }
    valueInfo = infos
    initializers = try initializers.map { initializer in
      guard weights.contains(initializer.name), !keptWide.contains(initializer.name) else { return initializer }
      return try initializer.replaced(by: initializer.tensor().converted(to: .float16))
    }
    nodes = narrowed
  }
}
