import ModelCheckpoints
import ModelCore
import ModelGraph

extension ONNXModel {
  /// Follows the model for inputs of certain types: the type of every value, multiplications, and a graph that runs.
  ///
  /// Small tensors that do not depend on the inputs' elements are computed, so that sizes which follow from shapes are
  /// known. A node that cannot be sized is listed with its reason, and so is what follows from it.
  /// - Parameter inputs: what the model's open sizes are to be.
  /// - Throws: `ModelError` for inputs that the model does not have or that contradict it, values that nothing makes or
  ///   that follow from themselves, and a model larger than any.
  public func trace(_ inputs: ONNXInputs = ONNXInputs()) throws -> ONNXTrace {
    do { return try traced(inputs) } catch let error as ModelError {
      throw name.isEmpty ? error : error.inFile(name)
    }
  }

  private func traced(_ inputs: ONNXInputs) throws -> ONNXTrace {
    let tracer = ONNXTracer(self)
    let initialized = Set(graph.initializers.map(\.name) + graph.sparseInitializers.map(\.values.name))
    let open = graph.inputs.filter { !initialized.contains($0.name) }
    let shapes = try inputs.shapes(of: open, self, &tracer.symbols)
    var given: [ONNXTrace.Input] = []
    for input in open {
      if let value = inputs.values[input.name] {
        tracer.bind(input.name, .operand(Operand(value)))
        continue
      }
      guard case .tensor(let element, _) = input.kind, let dtype = element.dtype, let shape = shapes[input.name] else {
        var reason = "it is no tensor of numbers"
        if case .tensor(let element, let shape) = input.kind, element.dtype != nil {
          let open = tracer.symbols.filled(shape ?? []).enumerated().filter { $0.element == nil }.map { "\($0.offset)" }
          reason = shape == nil ? "its shape is not said" : "the length of axis \(open.joined(separator: ", ")) is open"
        }
        tracer.note(input.name, "input", reason, isCause: true)
        tracer.bind(input.name, .unsized(cause: input.name))
        continue
      }
      let type = TensorType(dtype, shape)
      do { _ = try Operation.unary(.abs).resultTypes(of: [type]) } catch let error as ModelError {
        throw error.about(input.name)
      }
      tracer.bind(input.name, .operand(Operand(type, tracer.graph.addInput(input.name))))
      given.append(ONNXTrace.Input(name: input.name, type: type))
    }
    tracer.bindInitializers(of: graph)
    return try tracer.trace(given)
  }
}

extension ONNXTracer {
  /// The main graph, whose inputs and weights are bound.
  func trace(_ inputs: [ONNXTrace.Input]) throws -> ONNXTrace {
    let main = model.graph
    _ = try graph.enter("", parent: nil, inputs: graph.inputs)
    var types: OrderedDictionary<String, TensorType> = [:]
    for input in inputs { types[input.name] = input.type }
    var nodes = [ONNXTrace.Node?](repeating: nil, count: main.nodes.count)
    try lower(main.nodes, opset: Opsets(model.opsets), valueInfo: main.declared, path: "") { index, results in
      let node = main.nodes[index]
      for (name, result) in zip(node.outputs, results) where !name.isEmpty {
        types[name] = result?.type
      }
      let outputs = node.outputs.indices.map { $0 < results.count ? results[$0]?.type : nil }
      nodes[index] = ONNXTrace.Node(
        name: node.label, operation: node.qualifiedOperation, outputs: outputs, macs: self.takenMACs())
    }
    let outputs = main.outputs.map { output -> ONNXTrace.Output in
      guard case .operand(let operand)? = lookUp(output.name) else {
        return ONNXTrace.Output(name: output.name, value: nil, type: declaredType(output))
      }
      return ONNXTrace.Output(name: output.name, value: value(operand), type: operand.type)
    }
    for output in main.outputs where lookUp(output.name) == nil {
      throw ModelError(.malformed, "gives \(output.name), which nothing makes")
    }
    graph.outputs = outputs.compactMap(\.value)
    graph.inputShapes = inputs.map(\.type.shape)
    return ONNXTrace(
      graph: graph, inputs: inputs, outputs: outputs, types: types, nodes: nodes.compactMap { $0 },
      operatorMACs: operatorMACs, unsized: unsized)
  }
}
