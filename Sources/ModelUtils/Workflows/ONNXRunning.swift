import ModelCheckpoints
import ModelCore
import ModelEngine
import ModelGraph
import ModelONNX
import ModelRandom

extension ONNXModel {
  /// The most elements of an input that is given by value where sizes depend on it.
  private static let valueLimit = 1 << 16

  /// Follows the model for given tensors: those on which sizes depend are taken by value.
  /// - Parameters:
  ///   - tensors: inputs by their names; others are sized as `inputs` says.
  ///   - inputs: what the model's open sizes are to be.
  /// - Throws: as `trace(_:)`.
  public func trace(for tensors: [String: Tensor], _ inputs: ONNXInputs = ONNXInputs()) throws -> ONNXTrace {
    var inputs = inputs
    for (name, tensor) in tensors { inputs.shapes[name] = tensor.shape }
    let trace = try self.trace(inputs)
    let small = tensors.filter { $0.value.count <= Self.valueLimit && !$0.value.dtype.isFloatingPoint }
    guard !trace.unsized.isEmpty, !small.isEmpty else { return trace }
    for (name, tensor) in small {
      inputs.shapes[name] = nil
      inputs.values[name] = tensor
    }
    return try self.trace(inputs)
  }

  /// Computes the outputs, in the model's order, by their names. To run often keep a `Plan` and a `Session`.
  /// - Parameter tensors: the inputs by their names.
  /// - Throws: `ModelError` for an input that is missing, operators that are not known, and as `Plan` does.
  public func run(
    _ tensors: [String: Tensor], precision: Precision = .float32, on backend: some Backend = .cpu
  ) throws -> OrderedDictionary<String, Tensor> {
    try trace(for: tensors).run(tensors, precision: precision, on: backend)
  }
}

extension ONNXTrace {
  /// Computes the outputs, in the model's order, by their names.
  /// - Parameter tensors: the inputs by their names, of the types that it was traced for.
  /// - Throws: as `ONNXModel.run`.
  public func run(
    _ tensors: [String: Tensor], precision: Precision = .float32, on backend: some Backend = .cpu
  ) throws -> OrderedDictionary<String, Tensor> {
    let results = try run(
      tensors, giving: outputs.compactMap { output in output.value.map { (output.name, $0) } }, precision: precision,
      on: backend)
    return OrderedDictionary(results, uniquingKeysWith: { first, _ in first })
  }

  /// Computes any values of the graph, given with names for them.
  ///
  /// It computes in float32 where the model says float16; the model's outputs have the type that it says.
  public func run(
    _ tensors: [String: Tensor], giving chosen: [(String, Graph.Value)], precision: Precision = .float32,
    on backend: some Backend = .cpu
  ) throws -> [(String, Tensor)] {
    _ = try runnableGraph()
    let wide = try widened()
    let given = try wide.inputs.map { input in
      guard let tensor = tensors[input.name] else { throw ModelError(.missing, "is not given", subject: input.name) }
      return try tensor.dtype == input.type.dtype ? tensor : tensor.cast(to: input.type.dtype)
    }
    let plan = try Plan(
      wide.graph, for: wide.inputs.map(\.type), giving: chosen.map(\.1), precision: precision, on: backend)
    let types = Dictionary(
      outputs.compactMap { output in output.value.flatMap { value in output.type.map { (value, $0.dtype) } } },
      uniquingKeysWith: { first, _ in first })
    return try zip(chosen, Session(plan).run(given)).map { named, tensor in
      (named.0, try types[named.1].map { try tensor.cast(to: $0) } ?? tensor)
    }
  }

  /// Uniform random numbers from 0 to 1 for every input; zeros for one of whole numbers.
  public func randomInputs(seed: UInt64 = 0) throws -> [String: Tensor] {
    var generator = TorchGenerator(seed: seed)
    var tensors: [String: Tensor] = [:]
    for input in inputs {
      tensors[input.name] =
        try input.type.dtype.isFloatingPoint
        ? generator.uniform(input.type.shape).converted(to: input.type.dtype)
        : Tensor(input.type.dtype, input.type.shape)
    }
    return tensors
  }
}
