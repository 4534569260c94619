import ModelCore
import ModelGraph

/// What YOLOv5's constructor learns, and leaves behind, when it sends a picture of zeros through a new detector in
/// training mode.
struct YOLOv5ConstructorPass {
  private let graph: Graph
  private let shapes: [[Int]]
  private let side: Int

  /// - Throws: `ModelError` for layers that do not fit together.
  init(_ root: Module, channels: Int, side: Int) throws {
    graph = try Graph(root, mode: .training)
    shapes = try graph.shapes(of: [[1, channels, side, side]])
    self.side = side
  }

  /// For each level how many pixels one cell is high.
  func strides(of head: Module) throws -> [Int] {
    let levels = head.children["m"]?.children.values.map(\.identity) ?? []
    return try levels.map { level in
      guard let call = graph.scopes.last(where: { $0.module == level }), let output = call.outputs.first,
        shapes[output.index].count == 4
      else { throw ModelError(.malformed, "a level of the head is not called") }
      let height = shapes[output.index][2]
      guard height > 0, side % height == 0 else {
        throw ModelError(
          .malformed,
          "a level of the head is \(height) cells high for a picture of \(side), which is no whole stride")
      }
      return side / height
    }
  }

  /// Batch norms that get anything but zeros have running statistics of their own.
  func settleStatistics(in root: inout Module, _ make: ModuleBuilder) {
    let inputs = ConstantSignals(graph, shapes).normInputs.filter { !$0.value.isZero }
    guard !inputs.isEmpty else { return }
    root.updateModules { path, module in
      guard let input = inputs[module.identity], let shape = module.buffers["running_mean"]?.shape else { return }
      if case .uniform(let values) = input {
        module.buffers["running_mean"] = make.tensor(.float32, shape) { bytes in
          let mean = try values().map { $0 * 0.1 }
          mean.withUnsafeBytes { bytes.copyMemory(from: $0) }
        }
        return
      }
      let refusal = ModelError(
        .unsupported,
        "the original's constructor fills its running statistics by a forward pass of numbers, which is not computed here",
        subject: path)
      for name in ["running_mean", "running_var"] {
        module.buffers[name] = make.tensor(.float32, shape) { _ in throw refusal }
      }
    }
  }
}
