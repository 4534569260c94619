import ModelCheckpoints
import ModelCore
import ModelGraph
import ModelONNX

/// The model of a graph that is built for inputs of float32.
func exported(
  _ shapes: [Int]..., opset: Int = 17, dynamic: [ONNXExportOptions.DynamicAxis] = [],
  _ body: (inout Graph, [Graph.Value]) throws -> [Graph.Value]
) throws -> ONNXGraph {
  var graph = Graph()
  let inputs = shapes.indices.map { graph.addInput("x\($0)") }
  graph.outputs = try body(&graph, inputs)
  var options = ONNXExportOptions(opset: opset)
  options.dynamicAxes = dynamic
  return try ONNXModel(exporting: shapes.map { TensorType(.float32, $0) }, options) { _ in graph }.graph
}

/// The model of one operation of float32 inputs and weights of given shapes.
func exported(
  _ operation: ModelGraph.Operation, _ shape: [Int], weights: [Int]..., opset: Int = 17,
  dynamic: [ONNXExportOptions.DynamicAxis] = []
) throws -> ONNXGraph {
  try exported(shape, opset: opset, dynamic: dynamic) { graph, inputs in
    try graph.call("layer", inputs) { graph in
      let values = try weights.enumerated().map { index, shape in
        graph.addWeight("layer.weight\(index)", Graph.Weight(tensor: try Tensor(.float32, shape)))
      }
      return try graph.emitAll(operation, inputs + values)
    }
  }
}

extension ONNXGraph {
  /// The operators in order.
  var operations: [String] { nodes.map(\.operation) }

  /// The first node of an operator.
  func first(_ operation: String) -> ONNXNode? { nodes.first { $0.operation == operation } }

  /// The whole numbers of a constant.
  func integers(_ name: String) throws -> [Int]? {
    try initializers.first { $0.name == name }?.tensor().doubles().map { Int($0) }
  }
}
