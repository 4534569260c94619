import ModelCheckpoints
import ModelCore
import ModelGraph

@testable import ModelONNX

/// A model of one node, its inputs given by value or only by type.
func model(
  _ nodes: [ONNXNode], opset: Int = 17, inputs: [(String, DType, [ONNXValueInfo.Dimension])] = [],
  weights: [(String, Tensor)] = [], outputs: [String]? = nil
) throws -> ONNXModel {
  var graph = ONNXGraph(name: "g", nodes: nodes)
  graph.inputs = inputs.map { name, dtype, shape in
    ONNXValueInfo(name, ONNXElementType(dtype) ?? .float32, shape: shape)
  }
  graph.initializers = try weights.map { try ONNXTensor($0.0, $0.1) }
  graph.outputs = (outputs ?? nodes.last?.outputs ?? []).map { ONNXValueInfo($0, .float32, shape: nil) }
  return ONNXModel(graph: graph, opset: opset, irVersion: 8, producerName: "", producerVersion: "")
}

/// What a node gives for the elements of its inputs.
func outputs(
  _ operation: String, opset: Int = 17, domain: String = "", _ tensors: [Tensor?],
  _ attributes: [ONNXAttribute] = [], count: Int = 1, values: Bool = true
) throws -> [Tensor] {
  let names = tensors.indices.map { tensors[$0] == nil ? "" : "in\($0)" }
  let node = ONNXNode(
    operation, names, (0..<count).map { "out\($0)" }, name: "node", domain: domain, attributes: attributes)
  let given = zip(names, tensors).compactMap { name, tensor in tensor.map { (name, $0) } }
  // The first is what is computed with; others say how.
  let open = given.prefix(1).map { name, tensor in
    (name, tensor.dtype, tensor.shape.map { ONNXValueInfo.Dimension.fixed($0) })
  }
  var inputs = ONNXInputs()
  for (name, tensor) in given.prefix(1) { inputs.shapes[name] = tensor.shape }
  let trace = try model([node], opset: opset, inputs: open, weights: Array(given.dropFirst())).trace(inputs)
  if let first = trace.unsized.first { throw ModelError(.unsupported, first.reason, subject: first.name) }
  return try trace.runnableGraph().reference(given.prefix(1).map(\.1))
}

func floats(_ values: [Float], _ shape: [Int]? = nil) throws -> Tensor { try Tensor(values, shape ?? [values.count]) }
func counted(_ shape: [Int]) throws -> Tensor {
  try Tensor((0..<shape.reduce(1, *)).map { Float($0) }, shape)
}
func whole(_ values: [Int]) throws -> Tensor { try Tensor(integers: values, .int64, [values.count]) }

/// Why a node of a float32 input cannot be sized; nil where it can.
func reason(
  _ operation: String, opset: Int = 17, _ shape: [Int], weights: [Tensor] = [], _ attributes: [ONNXAttribute] = []
) throws -> String? {
  let names = weights.indices.map { "w\($0)" }
  let node = ONNXNode(operation, ["x"] + names, ["y"], name: "node", attributes: attributes)
  let trace = try model(
    [node], opset: opset, inputs: [("x", .float32, shape.map { .fixed($0) })], weights: Array(zip(names, weights))
  ).trace()
  return trace.unsized.first?.reason
}
