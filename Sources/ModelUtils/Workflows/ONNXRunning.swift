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
    let plan = try Plan(runnableGraph(), for: inputs.map(\.type), precision: precision, on: backend)
    let given = try inputs.map { input in
      guard let tensor = tensors[input.name] else { throw ModelError(.missing, "is not given", subject: input.name) }
      return tensor
    }
    let results = try Session(plan).run(given)
    return OrderedDictionary(zip(outputs.map(\.name), results), uniquingKeysWith: { first, _ in first })
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
