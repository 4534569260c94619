import ModelCheckpoints
import ModelCore
import ModelGraph

/// How a graph is written as an ONNX model.
public struct ONNXExportOptions: Sendable {
  /// An axis of an input that may have any length.
  public struct DynamicAxis: Sendable, Hashable {
    /// What the file calls the length.
    public var name: String
    /// Which of the inputs.
    public var input: Int
    /// Which of its axes.
    public var axis: Int
    /// The lengths that the model takes lie so far apart: the stride of a detector, else 1.
    public var step: Int

    /// An axis of an input by its name.
    public init(_ name: String, input: Int = 0, axis: Int, step: Int = 1) {
      (self.name, self.input, self.axis, self.step) = (name, input, axis, step)
    }
  }

  /// The opsets that can be written.
  public static let opsets = 12...22

  /// Which edition of each operator is written.
  public var opset: Int
  /// What the input is called, with its number behind where there are several.
  public var inputName = "images"
  /// What the outputs are called, with their numbers behind: `output0`, `output1`, …
  public var outputName = "output"
  /// The axes that may have any length.
  public var dynamicAxes: [DynamicAxis] = []

  /// One opset, all lengths fixed.
  public init(opset: Int = 17) { self.opset = opset }
}

extension ONNXModel {
  /// A model that computes what a graph does.
  ///
  /// Batch norms should be fused before. What does not depend on the elements of the inputs is computed beforehand, and
  /// what is not needed for the outputs is left out. Weights bear their names in the state dict, nodes the paths of their
  /// modules (`/model.0/conv/Conv`), other constants names under these.
  /// - Parameters:
  ///   - types: of the inputs.
  ///   - trace: gives the graph for inputs of types; it is asked anew for other lengths of dynamic axes.
  /// - Throws: `ModelError` that names the module and the operation: for what the opset cannot say, and for lengths that
  ///   do not follow from the dynamic axes.
  public init(
    exporting types: [TensorType], _ options: ONNXExportOptions = ONNXExportOptions(),
    trace: ([TensorType]) throws -> Graph
  ) throws {
    guard ONNXExportOptions.opsets.contains(options.opset) else {
      throw ModelError(
        .invalid,
        "opset \(options.opset) is none of \(ONNXExportOptions.opsets.lowerBound) to \(ONNXExportOptions.opsets.upperBound)"
      )
    }
    var lowering = try ONNXLowering(GraphProbes(types, options.dynamicAxes, trace: trace), options)
    try lowering.lowerAll()
    let irVersion = options.opset > 20 ? 10 : options.opset > 18 ? 9 : 8
    self.init(
      graph: try lowering.finished(), opset: options.opset, irVersion: irVersion, producerName: "ModelUtils",
      producerVersion: "")
  }
}

/// A graph with its types for the inputs that it is exported for, and for inputs that are longer along one dynamic axis
/// each: what changes depends on that axis.
struct GraphProbes {
  let graph: Graph
  /// Of the graph for every probe, the plain inputs first.
  let types: [InferredTypes]
  /// The dynamic axes, one for each further probe.
  let axes: [ONNXExportOptions.DynamicAxis]

  init(
    _ inputs: [TensorType], _ axes: [ONNXExportOptions.DynamicAxis], trace: ([TensorType]) throws -> Graph
  ) throws {
    let graph = try trace(inputs)
    var types = [try graph.types(of: inputs)]
    for axis in axes {
      guard inputs.indices.contains(axis.input), inputs[axis.input].shape.indices.contains(axis.axis) else {
        throw ModelError(.invalid, "there is no axis \(axis.axis) of input \(axis.input)", subject: axis.name)
      }
      var longer = inputs
      longer[axis.input].shape[axis.axis] += axis.step
      do {
        let other = graph.inputShapes == nil ? graph : try trace(longer)
        guard try other.computesAlike(graph) else {
          throw ModelError(.unsupported, "the model's forward takes other ways for other sizes")
        }
        types.append(try other.types(of: longer))
      } catch var error as ModelError {
        error.reason = "cannot be exported with a dynamic \(axis.name): \(error.reason)"
        error.advice = "export it for one size, without --dynamic"
        throw error
      }
    }
    (self.graph, self.types, self.axes) = (graph, types, axes)
  }
}

extension Graph {
  /// Whether another graph has the same operations between the same values, with the same constants.
  fileprivate func computesAlike(_ other: Graph) throws -> Bool {
    try nodes.count == other.nodes.count && definitions.count == other.definitions.count && outputs == other.outputs
      && zip(nodes, other.nodes).allSatisfy {
        $0.operation == $1.operation && $0.operands == $1.operands && $0.results == $1.results
      }
      && zip(definitions, other.definitions).allSatisfy {
        guard case .constant(let first) = $0, case .constant(let second) = $1 else { return true }
        return try first.isEqual(to: second)
      }
  }
}
