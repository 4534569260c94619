import ModelCheckpoints
import ModelCore

extension ONNXModel {
  /// Makes a model of a file float16, as onnxruntime's `convert_float_to_float16` with `keep_io_types`: inputs and outputs
  /// stay float32, and so do the operators that have no float16 or lose too much in it.
  /// - Parameter inputs: what the model's open sizes are to be while types are found; they stay open.
  /// - Throws: `ModelError` for operators whose types are not known, branches and bodies, and weights that cannot be read.
  public mutating func narrow(tracedFor inputs: ONNXInputs) throws {
    guard constants.contains(where: { $0.isWeight && $0.tensor.elementType == .float32 }) else {
      throw ModelError(.unsupported, "holds no float32 weights, so there is nothing to make float16")
    }
    func refuse(_ node: ONNXNode, _ reason: String) -> ModelError {
      ModelError(
        .unsupported, "\(node.qualifiedOperation) \(reason)",
        subject: node.label)
    }
    for node in graph.nodes {
      if !node.subgraphs.isEmpty { throw refuse(node, "has branches or bodies, which are not made float16") }
      if !node.isStandard { throw refuse(node, "is no operator of ONNX's own, so its types are not known") }
      if node.attribute("dtype")?.int == 1 { throw refuse(node, "makes float32 numbers of its own") }
    }
    let trace = try trace(inputs)
    if let unsized = trace.unsized.first {
      throw ModelError(.unsupported, "\(unsized.operation): \(unsized.reason)", subject: unsized.name)
    }
    try graph.liftConstants()
    let said = Set((graph.inputs + graph.outputs + graph.valueInfo).map(\.name))
    let added = trace.types.filter { !said.contains($0.key) }
    for (name, type) in added {
      guard let element = ONNXElementType(type.dtype) else { continue }
      graph.valueInfo.append(ONNXValueInfo(name, element, shape: nil))
    }
    try narrow()
    var made: Set<String> = []
    for name in graph.nodes.flatMap(\.outputs) where !name.isEmpty && !made.insert(name).inserted {
      throw ModelError(.unsupported, "has a value of the name \(name) already, which float16 needs for another")
    }
    graph.valueInfo.removeAll { added[$0.name] != nil }
  }
}

extension ONNXGraph {
  /// Makes the tensors of Constant nodes initializers, and what ConstantOfShape fills with float16.
  fileprivate mutating func liftConstants() throws {
    var (left, lifted): ([ONNXNode], [ONNXTensor]) = ([], [])
    for var node in nodes {
      if var tensor = node.constant, tensor.elementType == .float32, let name = node.outputs.first {
        tensor.name = name
        lifted.append(tensor)
        continue
      }
      if node.operation == "ConstantOfShape" {
        let value = try node.attribute("value")?.tensor?.tensor() ?? Tensor([Float(0)], [1])
        if value.dtype == .float32 {
          node.attributes = [ONNXAttribute("value", .tensor(try ONNXTensor("", value.converted(to: .float16))))]
        }
      }
      left.append(node)
    }
    if !lifted.isEmpty { initializers += lifted }
    nodes = left
  }
}
